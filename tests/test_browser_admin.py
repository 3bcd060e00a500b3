import re

import pytest
from playwright.sync_api import expect

from tests.browser import take_picture
from tests.test_browser_shop import ADA, choose, fill_in, wait_for_delivery

pytestmark = [pytest.mark.browser, pytest.mark.processes]

GRACE = "grace.hopper@example.org"


def test_staff_mends_an_unverified_address_and_the_customer_gets_one_mail(site):
    customer = site.open()
    choose(customer, "Stoneware mug", "Fountain pen")
    fill_in(customer, email=GRACE)
    customer.get_by_role("button", name="Place order").click()
    problem = customer.locator(".verdict.wrong")
    expect(problem).to_contain_text("the address is not verified with our provider")
    expect(problem).to_contain_text("Our staff can see it and can send it.")
    take_picture(customer, "order-problem")

    staff = site.open_admin()
    take_picture(staff, "admin-concern")
    staff.get_by_role("link", name="Open dead letters").click()
    staff.get_by_role("link", name=re.compile("ORD-")).first.click()
    ses_said = f"The following identities failed the check in region EU-WEST-1: {GRACE}"
    expect(staff.get_by_text(ses_said).first).to_be_visible()
    take_picture(staff, "dead-letter")
    letter = staff.url

    staff.get_by_role("link", name="Identities").click()
    staff.get_by_label("Address or domain").fill(GRACE)
    staff.get_by_role("button", name="Verify").click()
    expect(staff.get_by_text(f"SES sends an email with a link to {GRACE}.")).to_be_visible()
    take_picture(staff, "identities")

    staff.goto("/sandbox/verifications/")
    pending = staff.get_by_role("listitem").filter(has_text=GRACE)
    with staff.expect_popup() as opened:
        pending.get_by_role("link", name="Open link").click()
    expect(opened.value.get_by_role("heading", name="Address verified")).to_be_visible()

    staff.goto(letter)
    staff.get_by_role("button", name="Redrive").click()
    expect(staff.get_by_text("An email that was sent is not sent again.")).to_be_visible()
    take_picture(staff, "redrive")
    staff.get_by_label("Reason").fill("Address verified")
    staff.get_by_role("button", name="Redrive").click()
    expect(staff.get_by_text("1 dead letter redriven.")).to_be_visible()

    wait_for_delivery(customer)
    confirmations = [mail for mail in site.mails(GRACE) if "is confirmed" in mail["subject"]]
    assert len(confirmations) == 1


def test_staff_posts_transactions_and_the_holder_is_alerted(site):
    staff = site.open_admin("/admin/orders/transaction/add/")

    post(staff, kind="Withdrawal", amount="9999")
    expect(staff.locator(".field-amount")).to_contain_text("The account holds $2,500.00")
    take_picture(staff, "overdraft")

    post(staff, kind="Deposit", amount="150")
    expect(staff.get_by_text("was added successfully")).to_be_visible()

    staff.goto("/sandbox/")
    staff.get_by_role("link", name="Your account has been credited with $150.00.").click()
    mail = staff.frame_locator("iframe")
    expect(mail.get_by_text("Your account has been credited with $150.00.").last).to_be_visible()
    assert len(site.mails(ADA)) == 1


def post(staff, *, kind, amount):
    staff.locator(".select2-selection").click()
    staff.get_by_role("option", name="4821 Ada Lovelace").click()
    staff.get_by_label("Kind").select_option(kind)
    staff.get_by_label("Amount").fill(amount)
    staff.get_by_role("button", name="Save", exact=True).click()


def test_staff_goes_from_an_order_to_its_email_and_back(site):
    customer = site.open()
    choose(customer, "Monstera")
    fill_in(customer)
    customer.get_by_role("button", name="Place order").click()
    wait_for_delivery(customer)
    staff = site.open_admin("/admin/orders/order/")
    number = re.search(r"ORD-\d+", customer.url)[0]
    staff.get_by_role("link", name=number).click()
    order = staff.url
    take_picture(staff, "admin-order")

    staff.get_by_role("link", name=f"Emails about {number}").click()
    staff.get_by_role("link", name=number).click()
    expect(staff.get_by_text("SES accepted it; it is never sent again.")).to_be_visible()
    take_picture(staff, "admin-email")
    staff.get_by_role("link", name=f"arrow_outward {number}").click()

    expect(staff).to_have_url(order)
