"""A broken template is fixed in a browser: written, rehearsed, published, and its dead letters sent back."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from benchmarks.compare.order_events import envelope, event_id, order_number
from emails.rendering import templates
from emails.versions import in_force, publishing
from queues.dead_letters import collecting
from queues.dead_letters.causes import key_of
from queues.models import DeadLetter, Redrive
from tests.support.browser import Clicks, Site
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NAME = "order_confirmation"
# More can be asked for, to measure.
LETTERS = int(os.environ.get("REHEARSED_LETTERS", "40"))
REASON = f"{NAME}/subject.hbs: the data has no nickname"


@pytest.fixture
def site(chromium, fast_platform, tmp_path):
    """The product on a stub of AWS that is fast enough for hundreds of emails."""
    site = Site(chromium, fast_platform, api_key=tmp_path / "api-key.pem")
    yield site
    site.close()


def bury(count):
    """Dead letters of orders whose confirmation could not be rendered."""
    fingerprint = collecting.fingerprint("RenderError", REASON)
    DeadLetter.objects.bulk_create(
        DeadLetter(
            queue="orders",
            sqs_message_id=f"dead-{number}",
            event_id=event_id(number),
            type="order.placed.v1",
            subject=order_number(number),
            body=envelope(number),
            receive_count=5,
            code="RenderError",
            reason=REASON,
            fingerprint=fingerprint,
            sent_at=timezone.now(),
        )
        for number in range(1, count + 1)
    )
    return fingerprint


def test_letters_of_a_template_error_are_sent_in_four_clicks(site):
    subject = templates.own_sources(NAME)["subject.hbs"]
    broken = templates.own_sources(NAME) | {"subject.hbs": "{{nickname}}" + subject}
    publishing.publish(NAME, broken, by="ada", why="a mistake")
    fingerprint = bury(LETTERS)
    staff = site.open_admin(f"/admin/queues/deadletter/groups/{key_of(fingerprint)}/")
    clicks = Clicks(staff)

    clicks.link(f"Fix the template {NAME}")
    staff.get_by_label("subject.hbs", exact=True).fill(subject)
    staff.get_by_label("What changes, and why").fill("No event has a nickname")
    clicks.button("Save and rehearse")
    clicks.button(f"Publish and redrive the {LETTERS}")

    if LETTERS <= 100:
        assert clicks.count == 3
    expect(staff).to_have_url(re.compile("/admin/queues/redrive/.+/change/"))
    wait_until(lambda: Redrive.objects.get().ended_at, what="the end of the redrive", seconds=120)
    expect(staff.get_by_text(f"{LETTERS} of {LETTERS} succeeded.").first).to_be_visible()
    sent = Counter(acceptance.number for acceptance in site.aws.accepted())
    assert sent == Counter(map(order_number, range(1, LETTERS + 1)))
    in_force.forget()
    assert in_force.sources(NAME)["subject.hbs"] == subject
