"""Staff keep the console open: it renews itself, tells what is new, and takes nothing out of their hands."""

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from queues.models import DeadLetter
from tests.support.browser import take_picture
from tests.support.dead_letters import make_dead_letter

pytestmark = [pytest.mark.browser, pytest.mark.processes]

LETTERS = "/admin/queues/deadletter/"


def rows(page):
    return page.locator("#result_list > tbody")


def test_dead_letters_are_in_sight_on_every_page_and_folded_groups_stay_folded(site):
    staff = site.open_admin("/admin/auth/user/", size=(1440, 900))
    expect(staff).to_have_title("Users | Notifier")
    expect(staff.get_by_role("link", name="Dead letters")).to_be_in_viewport()
    expect(staff.get_by_role("navigation", name="Breadcrumb")).to_have_text("Staff")

    staff.locator("summary", has_text="Shop").focus()
    staff.keyboard.press("Enter")
    staff.goto("/admin/")
    expect(staff.get_by_role("link", name="Customers")).to_be_hidden()
    expect(staff.get_by_role("link", name="Bank accounts")).to_be_visible()


def test_a_list_renews_itself_and_leaves_focus_and_ticks_where_they_are(site):
    for number in range(3):
        make_dead_letter(code=f"Old{number}")
    staff = site.open_admin(LETTERS)
    expect(staff).to_have_title("(3) All dead letters | Notifier")
    expect(staff.locator(".live-status")).to_contain_text(re.compile(r"Live · updated [\d:]+ GMT"))
    second = rows(staff).nth(1).get_by_role("link").first
    # After a new row it is the third.
    held = staff.locator(f'#result_list a[href="{second.get_attribute("href")}"]').first
    held.focus()

    make_dead_letter(code="Fresh")

    expect(staff.get_by_role("status")).to_have_text("1 new dead letter")
    expect(staff).to_have_title("(4) All dead letters | Notifier")
    expect(rows(staff)).to_have_count(4)
    expect(rows(staff).first).to_contain_text("Fresh")
    expect(held).to_be_focused()

    # The new row takes part in the ticks of all, and ticked rows stay.
    staff.locator("#action-toggle").check()
    expect(staff.locator(".action-counter").first).to_contain_text("4 of")
    DeadLetter.objects.filter(code="Fresh").delete()
    make_dead_letter(code="Fresher")
    expect(staff.get_by_role("status")).to_have_text("1 ticked row has left this page")
    expect(rows(staff)).to_have_count(4)
    staff.locator("#action-toggle").uncheck()
    expect(rows(staff).first).to_contain_text("Fresher")


def test_the_page_of_causes_offers_to_show_what_is_new(site):
    make_dead_letter(code="Old")
    staff = site.open_admin("/admin/queues/deadletter/groups/")

    make_dead_letter(code="Fresh")

    expect(staff.get_by_role("status")).to_have_text("1 new dead letter")
    staff.get_by_role("link", name="Show them").click()
    expect(staff.get_by_text("Fresh").first).to_be_visible()


def test_a_paused_page_stays_as_it_is_and_an_ended_session_is_told(site):
    staff = site.open_admin(LETTERS)
    staff.get_by_role("button", name="Pause live updates").click()
    expect(staff.locator(".live-status")).to_contain_text("Paused")
    staff.reload()
    expect(staff.locator(".live-status")).to_contain_text("Paused")

    staff.get_by_role("button", name="Resume live updates").click()
    expect(staff.locator(".live-status")).to_contain_text("Live · updated")
    Session.objects.all().delete()

    expect(staff.get_by_role("status")).to_have_text(
        "Your session has ended. Reload the page to log in."
    )


def test_charts_are_read_by_pointer_and_by_keyboard(site):
    staff = site.open_admin()
    reader = staff.get_by_role("slider", name="Emails and orders a minute: values over time")
    reader.hover()
    tip = staff.locator(".chart-tip").first
    expect(tip).to_contain_text("Emails accepted:")

    reader.focus()
    staff.keyboard.press("Home")
    first = reader.get_attribute("aria-valuetext")
    staff.keyboard.press("End")

    assert reader.get_attribute("aria-valuetext") != first
    expect(tip).to_contain_text("Orders:")
    take_picture(staff, "overview", height=1400)
