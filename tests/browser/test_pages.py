import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from emails.models import Suppression
from orders.models import BankAccount, Product
from queues.doctor import runs
from queues.models import DeadLetter
from tests.support.browser import (
    DESKTOP,
    PHONE,
    barriers,
    nameless_controls,
    overflows,
    take_picture,
)
from tests.support.builders import make_order, make_transaction
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PUBLIC = ["/", "/register/", "/register/sent/", "/sandbox/", "/sandbox/verifications/"]
PICTURED = [(DESKTOP, "light"), (PHONE, "dark")]


def make_busy(site):
    lamp, tea, pen = (Product.objects.get(sku=f"{name}-01") for name in ("LAMP", "TEA", "PEN"))
    account = BankAccount.objects.get(holder_name="Ada Lovelace")
    make_order(lines=[(lamp, 1), (tea, 3)])
    make_transaction(account=account, amount="150.00")
    make_transaction(account=account, amount="42.10", kind="withdrawal")
    make_order(lines=[(pen, 1)], customer_email="bob@example.net")
    order = make_order(lines=[(tea, 2)])
    runs.ask("doctor", {}, by="admin")
    # Has nowhere to break, and is the newest: its page is looked at.
    Suppression.objects.create(
        address=f"{'longname' * 7}@example.com", source="staff", since=timezone.now()
    )
    wait_until(lambda: len(site.aws.mail()) == 4, what="four mails")
    wait_until(DeadLetter.objects.exists, what="a dead letter")
    return order


def forms():
    """Every page on which staff add a row, and that of their password."""
    admin.autodiscover()
    request = HttpRequest()
    request.user = User(is_active=True, is_superuser=True)
    return ["/admin/password_change/"] + [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        for model, pages in admin.site._registry.items()
        if pages.has_add_permission(request)
    ]


def addresses_in(page, selector):
    return list(dict.fromkeys(link.get_attribute("href") for link in page.locator(selector).all()))


def first_rows(page, lists):
    for address in lists:
        page.goto(address)
        yield from addresses_in(page, "#result_list tbody a, .fact-table tbody a")[:1]


def faults(page, address):
    name = re.sub(r"\W+", "-", address).strip("-")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        answer = page.goto(address)
        if answer.status != 200:
            yield f"{address}: {answer.status}"
        yield from (f"{address}, {scheme}: {barrier}" for barrier in barriers(page))
        for size in (DESKTOP, PHONE):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            if (size, scheme) in PICTURED:
                take_picture(page, f"pages/{name}-{size[0]}-{scheme}")
            if overflows(page):
                yield f"{address}: scrolls sideways at {size[0]} px"
    yield from (f"{address}: no name: {control}" for control in nameless_controls(page))


def test_every_page_opens_without_errors_and_fits_a_phone_in_light_and_dark(site):
    order = make_busy(site)
    staff = site.open_admin()
    take_picture(staff, "admin", height=900)
    take_picture(site.open("/sandbox/"), "mailbox", height=620)
    sidebar = addresses_in(staff, "#nav-sidebar a[href]")
    assert len(sidebar) > 10

    history = f"/admin/history/?address={order.customer_email}"
    pages = {
        history,
        *sidebar,
        *first_rows(staff, sidebar),
        *PUBLIC,
        *forms(),
        f"/admin/emails/identity/add/?name=example.org&next={history}",
        order.get_absolute_url(),
    }

    assert [fault for page in sorted(pages) for fault in faults(staff, page)] == []
    assert "Content Security Policy" in refused_to(staff, site)


def refused_to(page, site):
    """Return what the console says of a style that the API's page may not use."""
    page.goto("/api/v1/docs")
    page.locator(".opblock").first.wait_for()
    page.evaluate(
        "document.head.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))"
    )
    wait_until(lambda: site.problems, what="a word in the console")
    return site.problems.pop()


def test_the_console_works_by_keyboard_alone(site):
    staff = site.open_admin(size=(1100, 900))
    staff.keyboard.press("Tab")
    expect(staff.get_by_role("link", name="Skip to content")).to_be_focused()
    staff.keyboard.press("Enter")
    expect(staff.locator("main")).to_be_focused()

    # The menu is folded on a window so narrow.
    staff.get_by_role("button", name="Menu").focus()
    staff.keyboard.press("Enter")
    staff.get_by_role("link", name="Doctor").focus()
    staff.keyboard.press("Enter")
    staff.wait_for_url("**/admin/doctor/")

    staff.get_by_role("button", name="Menu").focus()
    staff.keyboard.press(" ")
    staff.get_by_role("button", name="admin").focus()
    staff.keyboard.press("Enter")
    staff.get_by_role("button", name="Log out").focus()
    staff.keyboard.press("Enter")
    staff.wait_for_url("**/admin/logout/")


def test_login_page_has_no_barriers(site):
    for dark in (False, True):
        assert barriers(site.open("/admin/login/", dark=dark)) == []
