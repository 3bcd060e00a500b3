from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from emails.models import Suppression
from tests.support.browser import DESKTOP, PHONE, nameless_controls, overflows, take_picture

pytestmark = [pytest.mark.browser, pytest.mark.processes]

FILE = {
    "name": "old-shop.csv",
    "mimeType": "text/csv",
    "buffer": (
        "E-mail;Grund;Reason\nada@example.com;;550 user unknown\nlifted@example.com;;\nnobody;;\n"
        f"{'longname' * 9}@;;\ngrace@example.com;;Stra\xdfe\n"
    ).encode("cp1252"),
}


def test_staff_see_what_a_file_would_do_and_confirm_it_by_keyboard(site):
    Suppression.objects.create(
        address="lifted@example.com", state="lifted", source="staff",
        since=timezone.now(), lifted_at=timezone.now(),
    )  # fmt: skip
    staff = site.open_admin("/admin/emails/suppression/import/")
    staff.get_by_label("CSV file").set_input_files(FILE)
    staff.get_by_label("Reason").fill("from the old shop")
    staff.get_by_role("button", name="Show what it would do").press("Enter")

    expect(staff.get_by_text("so it was read as Windows-1252")).to_be_visible()
    expect(staff.get_by_text("“nobody” is not an email address.")).to_be_visible()
    for scheme in ("light", "dark"):
        staff.emulate_media(color_scheme=scheme)
        for size in (DESKTOP, PHONE):
            staff.set_viewport_size({"width": size[0], "height": size[1]})
            take_picture(staff, f"import-{size[0]}-{scheme}")
            assert not overflows(staff)
    assert not nameless_controls(staff)

    staff.get_by_label("Suppress lifted addresses again").press("Space")
    staff.get_by_role("button", name="Import", exact=True).press("Enter")

    expect(staff.get_by_text("1 suppressed again.")).to_be_visible()
    assert Suppression.objects.active().count() == 3
