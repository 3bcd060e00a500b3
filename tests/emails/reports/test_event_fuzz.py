"""Events of SES in all documented shapes, broken at random: no unknown error, and nobody suppressed without a cause.

FUZZ_EXAMPLES=10000 makes it a long run.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emails.models import Notification, Suppression
from emails.reports import feedback, sub_types
from queues.aws import wrappers
from queues.errors import BadData, BadEnvelope
from tests.emails.reports.test_feedback import ses_event
from tests.support.rows import make_notification
from tests.support.ses_told import ABSENT, COMPLAINED, DELIVERED, bounced

OURS, OTHERS = "ada@example.com", "bob@example.com"
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("Send", {}),
    ("Delivery", DELIVERED),
    ("Bounce", bounced()),
    *[("Bounce", bounced(bounceSubType=name)) for name in sub_types.TABLE],
    ("Bounce", bounced("4.2.2", "smtp; 452 full", bounceType="Transient")),
    *[("Bounce", detail) for detail in ABSENT],
    ("Complaint", COMPLAINED),
    ("Complaint", COMPLAINED | {"complaintFeedbackType": "not-spam"}),
    ("Complaint", COMPLAINED | {"complaintSubType": "OnAccountSuppressionList"}),
    ("DeliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": OURS}]}),
    ("Reject", {"reason": "Bad content"}),
    ("Open", {"ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0"}),
    ("Click", {"link": "https://shop.example.com/", "linkTags": None}),
    ("Rendering Failure", {"templateName": "t", "errorMessage": "m"}),
    ("Subscription", {"contactList": "news", "source": "UnsubscribeHeader"}),
]
MAY_SUPPRESS = {"Bounce", "Complaint"}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\0", "\ud800", "a\x01\r\nb", "(" * 3000, "x" * 5000, OTHERS, "Suppressed"]),
    st.sampled_from([[], {}, [None], ["x"] * 500, {"a": {"b": [1]}}, [{"emailAddress": OTHERS}]]),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [found for key, item in items for found in [(*path, key), *paths(item, (*path, key))]]


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any], bool]:
    """A shape, its JSON after up to four changes, and whether it is in SNS's wrapper."""
    kind, detail = draw(st.sampled_from(SHAPES))
    raw = copy.deepcopy(ses_event(kind, **detail))
    for _ in range(draw(st.integers(0, 4))):
        if not (found := paths(raw)):
            break
        *way, last = draw(st.sampled_from(found))
        holder: Any = raw
        for key in way:
            holder = holder[key]
        change = draw(st.sampled_from(["drop", "replace", "add"]))
        if change == "drop":
            del holder[last]
        elif change == "replace":
            holder[last] = copy.deepcopy(draw(ODD))
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = copy.deepcopy(draw(ODD))
    return kind, raw, draw(st.booleans())


@pytest.mark.django_db
@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(event=events(), is_ours=st.booleans())
def test_no_event_raises_an_unknown_error_or_suppresses_without_a_cause(event, is_ours):
    kind, raw, is_wrapped = event
    with transaction.atomic():
        sent = make_notification(
            recipient=OURS, state=Notification.State.SENT, provider_message_id="ses-of-ours"
        )
        if is_ours and isinstance(raw.get("mail"), dict):
            raw["mail"]["tags"] = {"nid": [str(sent.pk)], "att": ["1"]}
        body = json.dumps(raw)
        if is_wrapped:
            wrapper = {"Type": "Notification", "TopicArn": "t", "Message": body}
            body, _ = wrappers.unwrapped(json.dumps(wrapper), {})
        with contextlib.suppress(BadEnvelope, BadData):
            feedback.take(body)
        suppressed = set(Suppression.objects.active().values_list("address", flat=True))
        transaction.set_rollback(True)

    assert suppressed <= ({OURS} if is_ours and kind in MAY_SUPPRESS else set())
    if suppressed and kind == "Bounce":
        name = raw["bounce"].get("bounceSubType", "")
        is_list = isinstance(name, str) and not sub_types.of(name).is_tried
        assert is_list or raw["bounce"].get("bounceType") == "Permanent"
