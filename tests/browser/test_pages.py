import re

import pytest
from django.utils import timezone

from emails.models import Suppression
from orders.models import BankAccount, Product
from queues.models import DeadLetter
from tests.support.browser import DESKTOP, PHONE, nameless_controls, overflows, take_picture
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
    # Has nowhere to break, and is the newest: its page is looked at.
    Suppression.objects.create(
        address=f"{'longname' * 7}@example.com", source="staff", since=timezone.now()
    )
    wait_until(lambda: len(site.aws.mail()) == 4, what="four mails")
    wait_until(DeadLetter.objects.exists, what="a dead letter")
    return order


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

    pages = {*sidebar, *first_rows(staff, sidebar), *PUBLIC, order.get_absolute_url()}

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
