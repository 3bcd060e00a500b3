import re

import pytest
from playwright.sync_api import expect

from orders.models import Order
from tests.browser import DESKTOP, PHONE, take_picture

pytestmark = [pytest.mark.browser, pytest.mark.processes]

ADA = "ada@example.com"


def choose(page, *names):
    for name in names:
        page.get_by_role("button", name=f"One {name} more").click()


def fill_in(page, *, email=ADA):
    for label, value in {
        "Your name": "Ada Lovelace",
        "Email": email,
        "Street and number": "12 St James's Square",
        "Postal code": "SW1Y 4JH",
        "City": "London",
        "Country": "United Kingdom",
    }.items():
        page.get_by_label(label, exact=True).fill(value)


def wait_for_delivery(page):
    expect(page.locator(".verdict")).to_have_text("Delivered. Have a look in your inbox.")
    expect(page.locator(".step.done")).to_have_count(4)


def error_of(page, label):
    field = page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    return page.locator(f"#{field.get_attribute('id')}_error")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_customer_orders_mends_mistakes_and_reads_the_confirmation(site, size):
    kind = "phone" if size == PHONE else "desktop"
    page = site.open(size=size)
    choose(page, "Stoneware mug", "Green tea", "Green tea")
    total = page.locator("[data-tray] output" if size == PHONE else ".total output")
    expect(total).to_have_text("$41.80")

    fill_in(page, email="")
    take_picture(page, f"shop-chosen-{kind}")
    page.get_by_role("button", name="Place order").click()
    expect(error_of(page, "Email")).to_have_text("This field is required.")
    expect(page.get_by_label("Street and number")).to_have_value("12 St James's Square")

    page.get_by_label("Email").fill("ada@example.com,bob@example.net")
    page.get_by_role("button", name="Place order").click()
    expect(error_of(page, "Email")).to_have_text("Enter a valid email address.")
    expect(page.get_by_label("Email")).to_have_value("ada@example.com,bob@example.net")
    expect(page.get_by_label("Quantity of Green tea")).to_have_value("2")
    expect(total).to_have_text("$41.80")
    take_picture(page, f"shop-refused-{kind}")

    page.get_by_label("Email").fill(ADA)
    page.get_by_role("button", name="Place order").click()
    page.wait_for_url("**/orders/ORD-*/")
    wait_for_delivery(page)
    order = page.url
    take_picture(page, f"order-{kind}")

    page.goto("/sandbox/")
    page.get_by_role("link", name=re.compile("Your order ORD-[0-9]+ is confirmed")).click()
    mail = page.frame_locator("iframe")
    expect(mail.get_by_role("heading")).to_have_text("Thank you for your order")
    expect(mail.get_by_text("Green tea")).to_be_visible()
    expect(mail.get_by_text("$41.80").last).to_be_visible()
    take_picture(page, f"mail-{kind}")

    with page.expect_popup() as opened:
        mail.get_by_role("link", name="View your order").click()
    expect(opened.value.get_by_role("heading", name="Thank you, Ada Lovelace")).to_be_visible()
    assert opened.value.url.startswith(order)


def test_double_click_on_place_order_makes_one_order_and_one_mail(site):
    page = site.open()
    choose(page, "Desk lamp")
    fill_in(page)

    page.get_by_role("button", name="Place order").dblclick(no_wait_after=True)

    page.wait_for_url("**/orders/ORD-*/")
    wait_for_delivery(page)
    assert Order.objects.count() == 1
    assert len(site.mails(ADA)) == 1


def test_customer_registers_and_confirms_the_address_once(site):
    site.aws.set_sandbox_rules(False)
    page = site.open("/register/")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_label("Email").fill("grace@example.org")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Look in your inbox")).to_be_visible()

    page.goto("/sandbox/")
    page.get_by_role("link", name="grace@example.org").click()
    mail = page.frame_locator("iframe")
    with page.expect_popup() as opened:
        mail.get_by_role("link", name="Confirm").first.click()
    confirmation = opened.value
    confirmation.get_by_role("button", name="Yes, confirm").click()
    expect(confirmation.get_by_role("heading", name="Confirmed")).to_be_visible()

    with page.expect_popup() as opened:
        mail.get_by_role("link", name="Confirm").first.click()
    expect(opened.value.get_by_role("heading", name="Confirmed already")).to_be_visible()
