import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    DESKTOP,
    PHONE,
    barriers,
    nameless_controls,
    overflows,
    take_picture,
)

pytestmark = [pytest.mark.browser, pytest.mark.processes]

TEMPLATES = "/admin/emails/emailtemplate/"
ORDER = f"{TEMPLATES}order_confirmation/"


def write(page, file, text):
    """Replace what is in an editor, by keyboard."""
    page.get_by_role("textbox", name=file, exact=True).click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def test_a_writer_goes_from_a_typo_to_a_published_text_and_back(site):
    staff = site.open_admin(f"{ORDER}edit/")
    shown = staff.frame_locator(".view-light iframe").locator("body")
    expect(shown).to_contain_text("Thank you for your order")

    write(staff, "subject.hbs", "We have order {{order_nubmer}}")
    problem = staff.locator(".template-problems li")
    expect(problem).to_contain_text('Did you mean "order_number"?')
    take_picture(staff, "template-typo", height=900)
    staff.get_by_role("button", name="Save the draft").click()
    expect(staff.get_by_text("Nothing was saved: the draft has errors.")).to_be_visible()

    staff.get_by_role("link", name=re.compile("subject.hbs:1:")).click()
    expect(staff.get_by_role("textbox", name="subject.hbs", exact=True)).to_be_focused()
    write(staff, "subject.hbs", "We have order ")
    staff.keyboard.type("{{order_n")
    staff.get_by_role("option", name="order_number").click()
    expect(staff.locator(".email-subject")).to_have_text("We have order ORD-000123")
    expect(problem).to_have_count(0)

    staff.get_by_role("button", name="Save the draft").click()
    staff.get_by_role("link", name="Publish…").click()
    expect(staff.locator("ins").first).to_contain_text("We have order")
    take_picture(staff, "template-publish", height=900)
    staff.get_by_role("link", name="Rehearsal").last.click()
    staff.get_by_role("button", name="Rehearse", exact=True).click()
    # A consumer rehearses, and nobody reloads the page.
    staff.get_by_label("Reason").fill("plainer")
    staff.get_by_role("button", name="Publish", exact=True).click()
    expect(staff.get_by_text("It goes before the files of the deployed code.")).to_be_visible()

    staff.get_by_role("link", name="Versions").click()
    staff.get_by_role("link", name="Roll back to the deployed code…").click()
    staff.get_by_label("Reason").fill("not plain enough")
    staff.get_by_role("button", name="Roll back", exact=True).click()
    expect(staff.get_by_text("In force: the files of the deployed code.")).to_be_visible()


def test_the_editor_is_entered_used_and_left_by_keyboard(site):
    staff = site.open_admin(f"{ORDER}edit/")
    editor = staff.get_by_role("textbox", name="subject.hbs", exact=True)
    editor.focus()

    staff.keyboard.press("Control+End")
    staff.keyboard.type(" {{cust")
    expect(staff.get_by_role("option", name="customer")).to_be_visible()
    staff.keyboard.press("Escape")
    staff.keyboard.press("Escape")
    staff.keyboard.press("Tab")
    expect(editor).not_to_be_focused()


def faults(page, address):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        yield from (f"{address}, {scheme}: {barrier}" for barrier in barriers(page))
        for size in (DESKTOP, PHONE):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            name = re.sub(r"\W+", "-", address).strip("-")
            take_picture(page, f"pages/{name}-{size[0]}-{scheme}")
            if overflows(page):
                yield f"{address}: scrolls sideways at {size[0]} px"
    yield from (f"{address}: no name: {control}" for control in nameless_controls(page))


def test_the_pages_of_a_template_have_no_barriers_and_fit_a_phone(site):
    staff = site.open_admin(f"{ORDER}edit/")
    for subject in ("One {{order_number}}", "Two {{order_number}}"):
        write(staff, "subject.hbs", subject)
        staff.get_by_role("button", name="Save and rehearse").click()
        staff.get_by_label("Reason").fill("a test")
        staff.get_by_role("button", name="Publish", exact=True).click()
        staff.get_by_role("link", name="Edit", exact=True).click()
    write(staff, "subject.hbs", "Three {{order_nubmer}}")
    write(staff, "subject.hbs", "Three {{order_number}}")
    staff.get_by_role("button", name="Save the draft").click()
    expect(staff.get_by_text("The draft is saved.")).to_be_visible()

    pages = [
        TEMPLATES,
        ORDER,
        *(f"{ORDER}{page}/" for page in ("edit", "publish", "edit/discard", "versions")),
        f"{ORDER}versions/2/",
        f"{ORDER}versions/2/roll-back/",
        f"{ORDER}versions/compare/?old=2&new=3",
        f"{ORDER}rehearsal/",
        f"{TEMPLATES}partials/layout/edit/",
    ]

    assert [fault for page in pages for fault in faults(staff, page)] == []
