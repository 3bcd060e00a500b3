import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    DESKTOP,
    PHONE,
    barriers,
    choose,
    fill_in,
    take_picture,
    wait_for_delivery,
)

pytestmark = [pytest.mark.browser, pytest.mark.processes]

ADA = "ada@example.com"


def error_beside(field):
    expect(field).to_have_attribute("aria-invalid", "true")
    return field.page.locator(f"#{field.get_attribute('id')}_error")


@pytest.mark.parametrize(
    ("suffix", "look"),
    [("", {"size": DESKTOP}), ("-phone-dark", {"size": PHONE, "dark": True})],
    ids=["desktop", "phone"],
)
def test_customer_orders_mends_mistakes_and_reads_the_confirmation(site, suffix, look):
    page = site.open(**look)
    fill_in(page, email=ADA)
    choose(page, "Stoneware mug", "Green tea", "Green tea")
    total = page.locator("[data-total]:visible").first
    expect(total).to_have_text("$41.80")
    take_picture(page, f"shop{suffix}", height=844 if suffix else 1240)

    email = page.get_by_label("Email")
    email.fill("")
    page.get_by_role("button", name="Place order").click()
    expect(error_beside(email)).to_have_text("This field is required.")
    expect(page.get_by_label("Street")).to_have_value("12 St James's Square")

    email.fill("ada@example.com,bob@example.net")
    page.get_by_role("button", name="Place order").click()
    expect(error_beside(email)).to_have_text("Enter a valid email address.")
    expect(email).to_have_value("ada@example.com,bob@example.net")
    expect(page.get_by_label("Quantity of Green tea")).to_have_value("2")
    expect(total).to_have_text("$41.80")
    take_picture(page, f"shop-refused{suffix}")

    email.fill(ADA)
    page.get_by_role("button", name="Place order").click()
    page.wait_for_url("**/orders/ORD-*/")
    wait_for_delivery(page)
    order = page.url
    take_picture(page, f"order{suffix}")

    page.goto("/sandbox/")
    page.get_by_role("link", name=re.compile("Your order ORD-[0-9]+ is confirmed")).click()
    mail = page.frame_locator("iframe")
    expect(mail.get_by_role("heading")).to_have_text("Thank you for your order")
    expect(mail.get_by_text("Green tea")).to_be_visible()
    expect(mail.get_by_text("$41.80", exact=True)).to_be_visible()
    take_picture(page, f"mail{suffix}", height=1240)

    with page.expect_popup() as opened:
        mail.get_by_role("link", name="View your order").click()
    expect(opened.value.get_by_role("heading", name="Order confirmed")).to_be_visible()
    assert opened.value.url.startswith(order)


def test_customer_registers_and_confirms_the_address_once(site):
    site.aws.set_sandbox_rules(False)
    page = site.open("/register/")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_label("Email").fill("grace@example.org")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()

    page.goto("/sandbox/")
    page.get_by_role("link", name="grace@example.org").click()
    link = page.frame_locator("iframe").get_by_role("link", name="Confirm").first
    with page.expect_popup() as first:
        link.click()
    first.value.get_by_role("button", name="Yes, confirm").click()
    expect(first.value.get_by_role("heading", name="Confirmed")).to_be_visible()
    take_picture(first.value, "confirmed")

    with page.expect_popup() as second:
        link.click()
    expect(second.value.get_by_role("heading", name="Already confirmed")).to_be_visible()


def test_customer_corrects_a_mistyped_address_and_gets_one_mail(site):
    page = site.open(size=PHONE)
    fill_in(page, email="ada@exmaple.com")
    choose(page, "Stoneware mug", "Green tea")
    page.evaluate("scrollTo(0, 0)")
    cart = page.locator("[data-tray]")
    expect(cart).to_be_in_viewport()
    expect(cart).to_contain_text("2 items, $29.90")
    cart.get_by_role("link", name="Checkout").click()
    page.get_by_role("button", name="Place order").click()
    expect(page.locator(".step.wrong .name")).to_contain_text("Not sent")

    page.get_by_role("link", name="Change it").click()
    expect(page.get_by_label("Email")).to_have_value("ada@exmaple.com")
    assert barriers(page) == []
    take_picture(page, "order-address")
    page.get_by_label("Email").fill(ADA)
    page.keyboard.press("Enter")

    wait_for_delivery(page)
    expect(page.get_by_text(f"To {ADA}")).to_be_visible()
    assert barriers(page) == []
    assert len(site.mails(ADA)) == 1
    assert site.mails("ada@exmaple.com") == []


def test_german_orders_in_german_and_can_switch_to_english(site):
    page = site.open(size=PHONE, locale="de-AT")
    page.get_by_role("button", name="Einmal mehr: Stoneware mug").click()
    expect(page.locator("[data-count]")).to_have_text("1 Artikel")
    for label in ("Ihr Name", "Straße und Hausnummer", "Postleitzahl", "Ort", "Land"):
        page.get_by_label(label, exact=True).fill("1010 Wien")
    page.get_by_label("E-Mail-Adresse", exact=True).fill(ADA)
    assert barriers(page) == []

    page.get_by_role("button", name="Bestellung aufgeben").click()
    page.wait_for_url("**/orders/ORD-*/")

    expect(page.locator(".verdict")).to_have_text(re.compile("^Zugestellt."))
    expect(page.locator(".lines tfoot td")).to_have_text("18,00\xa0$")
    assert barriers(page) == []
    take_picture(page, "order-german")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Order confirmed")).to_be_visible()
    [mail] = site.mails(ADA)
    assert re.fullmatch("Ihre Bestellung ORD-[0-9]+ ist bestätigt", mail["subject"])


def test_arabic_email_is_read_from_right_to_left(site):
    page = site.open_admin("/admin/emails/emailtemplate/order_confirmation/?language=ar")

    mail = page.frame_locator("iframe").first
    name, amount = (
        mail.get_by_text("Blue mug").bounding_box(),
        mail.get_by_text("25.00").bounding_box(),
    )

    assert mail.locator("html").get_attribute("dir") == "rtl"
    assert name["x"] > amount["x"] + amount["width"]
    assert mail.locator("html").evaluate("html => html.scrollWidth <= html.clientWidth")
    take_picture(page, "template-arabic")
