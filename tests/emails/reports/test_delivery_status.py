"""Whatever order SES's events come in, doubled or lost: what became of an email is told by the highest one seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emails.models import DeliveryEvent, Notification
from emails.reports import feedback
from emails.reports.ses_events import parsed
from tests.emails.reports.test_feedback import ses_event
from tests.support.rows import make_notification
from tests.support.ses_told import ABSENT, COMPLAINED, DELIVERED, bounced

pytestmark = [pytest.mark.django_db, pytest.mark.locking]

Delivery = Notification.Delivery
State = Notification.State

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SOFT = bounced("4.2.2", "smtp; 452 4.2.2 mailbox full", bounceType="Transient")
DELAYED = {
    "delayType": "MailboxFull",
    "delayedRecipients": [{"emailAddress": "ada@example.com", "status": "4.2.2"}],
}
# What SES may tell, and its rank; None says nothing of the delivery.
KINDS: list[tuple[str, dict[str, Any], Delivery | None]] = [
    ("Send", {}, None),
    ("Bounce", ABSENT[0], None),
    ("DeliveryDelay", DELAYED, Delivery.DELAYED),
    ("Delivery", DELIVERED, Delivery.DELIVERED),
    ("Open", {"ipAddress": "192.0.2.1"}, Delivery.DELIVERED),
    ("Click", {"link": "https://shop.example.com/"}, Delivery.DELIVERED),
    ("Bounce", SOFT, Delivery.BOUNCED_SOFT),
    ("Bounce", bounced(), Delivery.BOUNCED_HARD),
    ("Complaint", COMPLAINED, Delivery.COMPLAINED),
    ("Reject", {"reason": "Bad content"}, Delivery.REJECTED),
]
RANK = {status: rank for rank, status in enumerate(Delivery.values)}


@st.composite
def histories(draw):
    """Events of one email, each at a moment of its own; and how they arrive: in any order, some twice, some never."""
    chosen = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    told = [(kind, detail, status, at) for at, (kind, detail, status) in enumerate(chosen)]
    arrived = draw(st.lists(st.sampled_from(told), min_size=1, max_size=12))
    sizes = draw(st.lists(st.integers(1, 4), min_size=12, max_size=12))
    return arrived, sizes


def moment(at: int) -> datetime:
    return BEGIN + timedelta(seconds=at)


def first(arrived, *kinds):
    return min((moment(at) for kind, _, _, at in arrived if kind in kinds), default=None)


def batches(events, sizes):
    for size in sizes:
        yield events[:size]
        events = events[size:]


def record(arrived, sizes, notification):
    raws = []
    for kind, detail, _, at in arrived:
        raw = ses_event(kind, notification=notification, moment=moment(at).isoformat(), **detail)
        name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
        raws.append(raw | {name: raw[kind.lower()]})
    for batch in batches(raws, sizes):
        feedback.record([(parsed(raw), raw) for raw in batch])


@given(history=histories())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_highest_event_seen_decides_whatever_the_order(history):
    arrived, sizes = history
    with transaction.atomic():
        notification = make_notification()
        record(arrived, sizes, notification)
        notification.refresh_from_db()
        transaction.set_rollback(True)

    ranks = [status for _, _, status, _ in arrived if status]
    highest = max(ranks, key=RANK.__getitem__, default=Delivery.NONE)
    assert notification.state == State.SENT
    assert notification.delivery_status == highest
    assert notification.delivered_at == first(arrived, "Delivery", "Open", "Click")
    assert notification.opened_at == first(arrived, "Open", "Click")
    assert notification.clicked_at == first(arrived, "Click")
    worst = [at for _, _, status, at in arrived if status == highest]
    is_wrong = highest not in (Delivery.NONE, Delivery.DELIVERED)
    assert bool(notification.delivery_code) == is_wrong
    assert notification.delivery_at == (moment(max(worst)) if is_wrong else None)


def test_opening_and_following_a_link_do_not_change_the_rank():
    notification = make_notification()
    events = [
        ses_event("Delivery", notification=notification, moment="2026-11-22T10:00:05Z"),
        ses_event("Open", notification=notification, moment="2026-11-22T10:05:00Z"),
        ses_event("Click", notification=notification, moment="2026-11-22T10:06:00Z"),
    ]

    for event in reversed(events):
        feedback.take(json.dumps(event))

    notification.refresh_from_db()
    assert notification.delivery_status == Delivery.DELIVERED
    assert notification.delivered_at == datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC)
    assert notification.opened_at == datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
    assert notification.clicked_at == datetime(2026, 11, 22, 10, 6, tzinfo=UTC)


def test_delivery_after_a_delay_takes_its_reason_back():
    notification = make_notification()
    delay = ses_event("DeliveryDelay", notification=notification)
    feedback.take(json.dumps(delay | {"deliveryDelay": {"delayType": "MailboxFull"}}))
    notification.refresh_from_db()
    assert (notification.delivery_status, notification.delivery_code) == ("delayed", "MailboxFull")

    feedback.take(json.dumps(ses_event("Delivery", notification=notification)))

    notification.refresh_from_db()
    assert (notification.delivery_status, notification.delivery_code) == ("delivered", "")
    assert notification.delivery_at is None


def test_time_to_the_mailbox_is_never_negative():
    early = make_notification(sent_at=moment(5), delivered_at=moment(3))
    late = make_notification(sent_at=moment(5), delivered_at=moment(9))

    assert early.time_to_mailbox == timedelta(0)
    assert late.time_to_mailbox == timedelta(seconds=4)
    assert Notification(sent_at=moment(5)).time_to_mailbox is None
    assert not DeliveryEvent.objects.exists()
