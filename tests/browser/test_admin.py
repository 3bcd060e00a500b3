import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import choose, fill_in, take_picture, wait_for_delivery

pytestmark = [pytest.mark.browser, pytest.mark.processes]

ADA = "ada@example.com"
GRACE = "grace.hopper@example.org"


def post_transaction(staff, *, kind, amount):
    staff.locator(".field-account .select2-selection").click()
    staff.get_by_role("option", name="4821 Ada Lovelace").click()
    staff.get_by_label("Kind").select_option(kind)
    staff.get_by_label("Amount").fill(amount)
    staff.get_by_role("button", name="Save", exact=True).click()


def test_staff_mends_an_unverified_address_and_the_customer_gets_one_mail(site):
    customer = site.open()
    choose(customer, "Stoneware mug", "Fountain pen")
    fill_in(customer, email=GRACE)
    customer.get_by_role("button", name="Place order").click()
    problem = customer.locator(".verdict.wrong")
    expect(problem).to_contain_text(f"We couldn't email your confirmation to {GRACE} yet.")
    expect(problem).to_contain_text("Your order is confirmed.")
    expect(customer.locator(".step.wrong .name")).to_contain_text("Not sent")
    expect(problem.get_by_role("link")).to_be_visible()
    take_picture(customer, "order-problem")

    staff = site.open_admin()
    staff.get_by_role("link", name="Open dead letters").click()
    groups = staff.url
    group = staff.get_by_role("region", name="SES sandbox: the recipient is not verified")
    expect(group).to_contain_text("1 email")
    take_picture(staff, "dead-letters", height=900)
    group.get_by_role("link", name="Dead letters").click()
    staff.get_by_role("link", name="ORD-").first.click()
    ses_said = f"The following identities failed the check in region EU-WEST-1: {GRACE}"
    expect(staff.get_by_text(ses_said).first).to_be_visible()
    take_picture(staff, "dead-letter", height=900)

    staff.goto(groups)
    group.get_by_role("link", name="Verify this address").click()
    expect(staff.get_by_label("Address or domain")).to_have_value(GRACE)
    staff.get_by_role("button", name="Verify").click()
    expect(staff.get_by_text(f"SES is sending a verification link to {GRACE}.")).to_be_visible()
    take_picture(staff, "identities", height=900)

    staff.goto("/sandbox/verifications/")
    pending = staff.get_by_role("listitem").filter(has_text=GRACE)
    with staff.expect_popup() as opened:
        pending.get_by_role("link", name="Open link").click()
    expect(opened.value.get_by_role("heading", name="Address verified")).to_be_visible()

    staff.goto(groups)
    group.get_by_role("link", name="Redrive").click()
    expect(staff.get_by_label("1 will send")).to_be_checked()
    staff.get_by_label("Reason").fill("Address verified")
    take_picture(staff, "redrive", height=900)
    staff.get_by_role("button", name="Start the redrive").click()
    expect(staff).to_have_url(re.compile(r"/admin/queues/redrive/.+/change/"))

    wait_for_delivery(customer)
    confirmations = [mail for mail in site.mails(GRACE) if "is confirmed" in mail["subject"]]
    assert len(confirmations) == 1


def test_staff_posts_transactions_and_the_holder_is_alerted(site):
    staff = site.open_admin("/admin/orders/transaction/add/")

    post_transaction(staff, kind="Withdrawal", amount="9999")
    error = staff.locator(".field-amount")
    expect(error).to_contain_text("The account holds $2,500.00, less than $9,999.00.")
    take_picture(staff, "overdraft", height=900)

    staff.goto("/admin/orders/transaction/add/")
    post_transaction(staff, kind="Deposit", amount="150")
    expect(staff.get_by_text("was added successfully")).to_be_visible()

    staff.goto("/sandbox/")
    staff.get_by_role("link", name="Transaction Alert: $150.00 credited").click()
    mail = staff.frame_locator("iframe")
    expect(mail.get_by_text("$150.00 was credited to your account.").last).to_be_visible()
    take_picture(staff, "alert", height=1000)
    assert len(site.mails(ADA)) == 1


def test_double_click_makes_one_order_which_leads_staff_to_its_one_email_and_back(site):
    customer = site.open()
    choose(customer, "Monstera")
    fill_in(customer, email=ADA)
    customer.get_by_role("button", name="Place order").dblclick(no_wait_after=True)
    wait_for_delivery(customer)
    assert len(site.mails(ADA)) == 1

    staff = site.open_admin("/admin/orders/order/")
    expect(staff.locator("#result_list tbody tr")).to_have_count(1)
    staff.get_by_role("link", name="ORD-").click()
    [number] = re.findall(r"ORD-\d+", customer.url)
    emails = staff.get_by_role("link", name=f"Emails about {number}")
    expect(emails).to_be_visible()
    take_picture(staff, "admin-order", height=900)
    order = staff.url

    emails.click()
    expect(staff.get_by_text("SES accepted it. It is never sent again.")).to_be_visible()
    expect(staff.frame_locator("iframe").get_by_text("Monstera")).to_be_visible()
    take_picture(staff, "admin-email")
    staff.locator(f".fact-situation a[href$='/subject/{number}/']").click()
    expect(staff).to_have_url(order)
