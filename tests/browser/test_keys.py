"""The console by keyboard: the search box, the palette, the list of keys, and the rows of lists."""

import pytest
from playwright.sync_api import expect

from emails.models import Notification
from queues.models import DeadLetter
from tests.support.browser import (
    PHONE,
    Clicks,
    barriers,
    nameless_controls,
    overflows,
    take_picture,
)
from tests.support.builders import make_order
from tests.support.processes import wait_until
from tests.support.rows import make_notification

pytestmark = [pytest.mark.browser, pytest.mark.processes]

ORDERS = "/admin/orders/order/"


def focused(page):
    return page.locator(":focus")


def test_keys_lead_through_the_console(site):
    for name in ("Ada Lovelace", "Grace Hopper"):
        make_order(customer_name=name, customer_email=f"{name.split()[0].lower()}@example.com")
    staff = site.open_admin(ORDERS)
    box = staff.locator("[data-search-box]")
    palette, keys = staff.locator("#palette"), staff.locator("#keys")

    # The search box, on a list as well; nothing is a shortcut while one types.
    staff.keyboard.press("/")
    expect(box).to_be_focused()
    staff.keyboard.type("j?k/x")
    expect(box).to_have_value("j?k/x")
    expect(keys).to_be_hidden()
    staff.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    staff.keyboard.press("f")
    expect(staff.locator("#searchbar")).to_be_focused()
    staff.keyboard.press("Escape")

    # Rows.
    staff.keyboard.press("j")
    staff.keyboard.press("j")
    staff.keyboard.press("k")
    expect(focused(staff)).to_contain_text("Grace Hopper")
    take_picture(staff, "keys-row", height=900)
    staff.keyboard.press("Enter")
    staff.wait_for_url(f"**{ORDERS}*/change/")

    # The palette: pages, the page visited before, a search.
    opener = staff.get_by_role("link", name="Orders").first
    opener.focus()
    staff.keyboard.press("Control+k")
    text = staff.get_by_role("combobox", name="Page, or text to search for")
    expect(text).to_be_focused()
    expect(palette.get_by_role("option").first).to_contain_text("Recent")
    staff.keyboard.type("dead")
    chosen = palette.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("Dead letters")
    expect(text).to_have_attribute("aria-activedescendant", chosen.get_attribute("id"))
    staff.keyboard.press("ArrowDown")
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Search for “dead”")
    staff.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("Dead letters")
    # The dialog keeps the focus, and gives it back.
    for _ in range(4):
        staff.keyboard.press("Tab")
        assert staff.evaluate(
            "document.activeElement === document.body || palette.contains(document.activeElement)"
        )
    staff.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    expect(opener).to_be_focused()
    staff.keyboard.press("Control+k")
    staff.keyboard.type("dead")
    staff.keyboard.press("Enter")
    staff.wait_for_url("**/admin/queues/deadletter/groups/")
    staff.keyboard.press("Control+k")
    staff.keyboard.type("Hopper")
    staff.keyboard.press("Enter")
    staff.wait_for_url("**/admin/search/?q=Hopper")
    expect(staff.locator(".fact-table")).to_contain_text("Grace Hopper")
    staff.keyboard.press("j")
    expect(focused(staff)).to_contain_text("ORD-")

    # The list of keys, and the switch.
    staff.keyboard.press("?")
    expect(keys).to_be_visible()
    staff.get_by_label("Use single-key shortcuts").uncheck()
    staff.get_by_role("button", name="Close").press("Enter")
    staff.keyboard.press("?")
    staff.keyboard.press("j")
    expect(keys).to_be_hidden()
    staff.reload()
    staff.keyboard.press("/")
    expect(box).not_to_be_focused()
    staff.get_by_role("button", name="Keyboard shortcuts").press("Enter")
    staff.get_by_label("Use single-key shortcuts").check()
    staff.keyboard.press("Escape")
    staff.keyboard.press("/")
    expect(staff.locator("main [data-search-box]")).to_be_focused()


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_the_dialogs_have_no_barriers(site, is_dark):
    scheme = "dark" if is_dark else "light"
    staff = site.open_admin(ORDERS, dark=is_dark)

    staff.keyboard.press("Control+k")
    staff.keyboard.type("dead")
    assert barriers(staff) + nameless_controls(staff) == []
    take_picture(staff, f"palette-{scheme}", height=900)
    staff.keyboard.press("Escape")
    staff.keyboard.press("?")
    assert barriers(staff) + nameless_controls(staff) == []
    take_picture(staff, f"keys-{scheme}", height=900)


def test_a_row_is_selected_by_key(site):
    make_notification(state=Notification.State.FAILED)
    staff = site.open_admin("/admin/emails/notification/")

    staff.keyboard.press("j")
    staff.keyboard.press("x")

    expect(staff.locator("input.action-select:checked")).to_have_count(1)


def test_support_corrects_an_address_in_four_clicks_from_the_list_of_orders(site):
    order = make_order(customer_name="Ada Lovelace", customer_email="ada@exmaple.com")
    wait_until(DeadLetter.objects.exists, what="a dead letter")
    staff = site.open_admin(ORDERS)
    expect(staff.get_by_role("row", name=order.number)).to_contain_text("Dead letter")
    take_picture(staff, "orders", height=900)
    assert barriers(staff) == []
    clicks = Clicks(staff)

    clicks.link(order.number)
    expect(staff.get_by_text("Dead letter", exact=True).first).to_be_visible()
    take_picture(staff, "order-dead-letter", height=900)
    clicks.link("Correct the address and send again")
    staff.get_by_label("Correct address").fill("ada@example.com")
    take_picture(staff, "new-address", height=900)
    assert barriers(staff) == []
    clicks.button("Continue")
    expect(staff.get_by_role("heading", name="1 email to ada@example.com")).to_be_visible()
    take_picture(staff, "new-address-confirm", height=900)
    assert barriers(staff) == []
    clicks.button("Send 1 email")

    wait_until(lambda: site.mails("ada@example.com"), what="the email")
    assert clicks.count == 4
    assert site.mails("ada@exmaple.com") == []
    staff.goto("/admin/history/?address=ada@example.com")
    expect(staff.get_by_text("Email: Order confirmation")).to_be_visible()
    take_picture(staff, "history", height=900)
    assert barriers(staff) == []
    staff.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert not overflows(staff)
    take_picture(staff, "history-phone", height=844)
