import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, nameless_controls, overflows, take_picture

pytestmark = [pytest.mark.browser, pytest.mark.processes]

DOMAIN = "mail.example.org"
IDENTITIES = "/admin/emails/identity/"


def test_staff_verify_a_domain_send_from_it_and_follow_a_test_email_to_the_mailbox(site):
    staff = site.open_admin(IDENTITIES)
    staff.get_by_label("Address or domain").fill(DOMAIN)
    staff.get_by_role("button", name="Verify", exact=True).click()
    expect(staff.get_by_text("Publish these DNS records for")).to_be_visible()
    expect(staff.get_by_role("button", name="Copy _dmarc.mail.example.org")).to_be_visible()
    domain_page = staff.url

    staff.goto("/sandbox/verifications/")
    staff.get_by_role("listitem").filter(has_text=DOMAIN).get_by_role("button").click()
    staff.goto(domain_page)
    # Nobody presses anything: SES's answer of before is some seconds old at most.
    expect(staff.get_by_text("every address of this domain").first).to_be_visible()
    take_picture(staff, "identity-domain")

    staff.get_by_role("link", name="Notifier Shop").click()
    staff.locator("[name=address]").fill(f"shop@{DOMAIN}")
    staff.locator("[name=display_name]").fill("Grüße")
    staff.get_by_role("button", name="Save").click()
    expect(staff.get_by_text(f"Grüße <shop@{DOMAIN}>").first).to_be_visible()

    staff.goto(IDENTITIES)
    staff.get_by_label("Send to").fill("success@simulator.amazonses.com")
    staff.get_by_role("button", name="Send a test", exact=True).click()
    # Nobody reloads the page.
    expect(staff.locator(".trial-done")).to_have_count(5)
    expect(staff.get_by_text("250 2.6.0 Message received")).to_be_visible()
    take_picture(staff, "test-email", height=900)
    assert len(site.mails("success@simulator.amazonses.com")) == 1


def test_identities_fit_a_phone_and_name_their_controls(site):
    staff = site.open_admin(IDENTITIES, size=PHONE, dark=True)

    assert not overflows(staff)
    assert not nameless_controls(staff)
    take_picture(staff, "identities-phone-dark")
