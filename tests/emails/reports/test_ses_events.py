"""Events as SES writes them in both of its formats, and rubbish that others might write."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emails.models import Notification
from emails.reports import reasons, ses_events
from queues.errors import BadData
from tests.support.ses_told import ABSENT, COMPLAINED, DELIVERED, bounced, of_identity

Delivery = Notification.Delivery

WHOLE = [
    of_identity("Bounce", "ses-1", **bounced()),
    of_identity("Complaint", "ses-1", **COMPLAINED),
    of_identity("Delivery", "ses-1", **DELIVERED),
    {"eventType": "Reject"} | of_identity("Reject", "ses-1", reason="Bad content"),
    {
        "eventType": "DeliveryDelay",
        "mail": of_identity("Send", "ses-1")["mail"] | {"tags": {"nid": ["x"], "att": ["1"]}},
        "deliveryDelay": {
            "timestamp": "2026-11-22T10:00:05.000Z",
            "delayType": "MailboxFull",
            "delayedRecipients": [
                {
                    "emailAddress": "ada@example.com",
                    "status": "4.2.2",
                    "diagnosticCode": "smtp; 452",
                }
            ],
        },
    },
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every part of a JSON value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        *([path] if path else []),
        *(found for key, item in items for found in paths(item, (*path, key))),
    ]


EVERY_PART = [(index, path) for index, raw in enumerate(WHOLE) for path in paths(raw)]
REPLACEMENTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.just("x" * 100_000),
    st.just([]),
    st.just({}),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def changed(raw: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy with one part given to ``change``, with what holds it and its key."""
    whole = copy.deepcopy(raw)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return whole


def is_read_or_refused(raw: Any) -> bool:
    """No third: what is read can be stored."""
    try:
        event = ses_events.parsed(raw)
    except BadData:
        return True
    assert len(event.recipient) <= 254
    assert len(event.code) <= 40
    assert len(event.words) <= 1000
    return bool(reasons.sentence(event.code)) and event.moment.year >= 2000


def test_identity_notification_says_the_same_as_an_event():
    event = ses_events.parsed(WHOLE[0])

    assert (event.kind, event.key) == ("Bounce", ("ses-1", 0))
    assert event.status == Delivery.BOUNCED_HARD
    assert (event.code, event.words) == ("5.1.1", "smtp; 550 5.1.1 user unknown")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    list(
        zip(
            WHOLE[1:],
            [Delivery.COMPLAINED, Delivery.DELIVERED, Delivery.REJECTED, Delivery.DELAYED],
            ["abuse", "", "Bad content", "4.2.2"],
            strict=True,
        )
    ),
)
def test_each_kind_has_its_status_and_its_code(raw, status, code):
    event = ses_events.parsed(raw)

    assert (event.status, event.code) == (status, code)


@pytest.mark.parametrize("detail", ABSENT)
def test_absence_note_is_no_bounce(detail):
    assert ses_events.parsed(of_identity("Bounce", "ses-1", **detail)).status is None


def test_soft_bounce_with_a_reason_is_one():
    detail = bounced("4.2.2", "smtp; 452 4.2.2 mailbox full", bounceType="Transient")

    event = ses_events.parsed(of_identity("Bounce", "ses-1", **detail))

    assert (event.status, event.code) == (Delivery.BOUNCED_SOFT, "4.2.2")


@pytest.mark.parametrize(
    "address", ["grüße@exämple.example", "用户@例子.广告", "=?utf-8?q?a=C3=A9?=@example.com"]
)
def test_address_beyond_ascii_is_kept_as_it_is(address):
    raw = changed(
        WHOLE[0],
        ("bounce", "bouncedRecipients", 0, "emailAddress"),
        lambda at, key: at.update({key: address}),
    )

    assert ses_events.parsed(raw).recipient == address


def test_name_before_an_address_is_not_part_of_it():
    raw = of_identity("Delivery", "ses-1", **DELIVERED)
    raw["mail"] = raw["mail"] | {"destination": ["Ada Lovelace <ada@example.com>"]}

    assert ses_events.parsed(raw).recipient == "ada@example.com"


@pytest.mark.parametrize(("index", "path"), EVERY_PART)
def test_any_part_may_be_missing(index, path):
    raw = changed(WHOLE[index], path, lambda holder, key: holder.pop(key))

    assert is_read_or_refused(raw)


@given(where=st.sampled_from(EVERY_PART), instead=REPLACEMENTS)
def test_any_part_may_be_of_another_type_or_huge(where, instead):
    index, path = where
    raw = changed(WHOLE[index], path, lambda holder, key: holder.__setitem__(key, instead))

    assert is_read_or_refused(raw)


@pytest.mark.parametrize(
    "path",
    [
        ("bounce", "bounceSubType"),
        ("bounce", "bouncedRecipients", 0, "status"),
        ("bounce", "bouncedRecipients", 0, "diagnosticCode"),
    ],
)
@pytest.mark.parametrize("instead", [None, 7, ["x"], {"x": 1}])
def test_explanation_of_another_type_does_not_hide_the_bounce(path, instead):
    raw = changed(WHOLE[0], path, lambda holder, key: holder.__setitem__(key, instead))

    assert ses_events.parsed(raw).status == Delivery.BOUNCED_HARD


def test_bounce_without_details_is_soft():
    assert (
        ses_events.parsed({"notificationType": "Bounce", "mail": WHOLE[0]["mail"]}).status
        == Delivery.BOUNCED_SOFT
    )


@pytest.mark.parametrize(
    ("status", "answer", "kind", "expected"),
    [
        ("5.1.1", "smtp; 550 5.1.1 user unknown", "General", "The address does not exist."),
        ("", "smtp; 550 5.1.1 user unknown", "General", "The address does not exist."),
        ("4.2.2", "smtp; 452 4.2.2 over quota", "MailboxFull", "The mailbox is full."),
        ("5.0.0", "smtp; 552 sorry", "MailboxFull", "The mailbox is full."),
        ("5.0.0", "smtp; 550 no thanks", "General", "The mailbox does not exist"),
        ("5.1.1", "Amazon SES did not send", "OnAccountSuppressionList", "SES did not try"),
        ("5.1.1", "Amazon SES has suppressed", "Suppressed", "SES did not try"),
        ("4.4.7", "smtp; 550 4.4.7 expired", "General", "The recipient's mail server deferred it"),
        (
            "5.7.26",
            "smtp; 550 5.7.26 DMARC",
            "General",
            "The recipient's mail server found no proof",
        ),
        ("5.7.999", "", "General", "The recipient's mail server rejected it by policy."),
        ("", "", "General", "The mail server did not say why."),
        ("5.9.9", "", "General", "The mail server did not say why."),
        ("٥.١.١", "", "General", "The mail server did not say why."),
    ],
)
def test_code_is_said_in_words(status, answer, kind, expected):
    code = reasons.code(kind=kind, status=status, words=answer)

    assert reasons.sentence(code).startswith(expected)


# RFC 5321, 4.2: the code begins the reply. RFC 2034, 4, RFC 3463, 2: the enhanced code comes next, of the same class.
@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("smtp; 550 host mx1.example.net[5.9.12.34] said: blocked", "550"),
        ("smtp; 421 Too many from 5.1.1.9", "421"),
        ("smtp; connection to 23.4.7.9 timed out", "General"),
        ("smtp; 550 mail from 203.5.1.1 refused by local policy", "550"),
        ("smtp; 421 too many connections from 5.2.1.9", "421"),
        ("smtp; 550 rejected, see http://192.0.2.4/?ip=198.4.2.2", "550"),
        ("smtp; gave up after 480 minutes", "General"),
        ("smtp; 480 minutes without an answer", "General"),
        ("smtp; 552 bytes too many", "General"),
        ("smtp; 5.1.1.9 is no host of ours", "General"),
        ("smtp; 550 5.1.1.9 is blocked", "550"),
        ("smtp; 550 5.1.1.example.net is blocked", "550"),
        ("smtp; 550 Postfix 5.1.1 refuses", "550"),
        ("smtp; 550 Exim v4.2.2", "550"),
        ("smtp; 550 4.2.2 of another class", "550"),
        ("smtp; 5501 is no code", "General"),
        ("smtp; error 550 of mx1.example.net", "General"),
        ("smtp;550-5.1.1 The email account does not exist.", "5.1.1"),
        ("smtp; 550 #5.1.0 Address rejected", "5.1.0"),
        ("smtp; 554 delivery error: Sorry, no mailbox here (#5.1.1)", "5.1.1"),
        ("host mx1.example.net[5.9.12.34] said: 550 5.7.1 blocked (in reply to RCPT TO)", "5.7.1"),
        ("smtp; 421 4.7.0 [198.51.100.7 15] Our system has detected", "4.7.0"),
        ("smtp; 5.4.7 - Delivery expired", "5.4.7"),
    ],
)
def test_only_the_code_of_a_reply_is_a_code(words, right):
    assert reasons.code(kind="General", status="", words=words) == right


# RFC 3464, 2.3.4.
@pytest.mark.parametrize(
    ("status", "right"),
    [("5.1.1", "5.1.1"), ("5.1.1 (no mailbox)", "5.1.1"), ("5.1.1.9", "550"), ("at 5.1.1", "550")],
)
def test_status_of_the_report_comes_first_if_it_is_one(status, right):
    assert reasons.code(kind="General", status=status, words="smtp; 550 no thanks") == right


@pytest.mark.parametrize(
    "message",
    [
        {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have …"},
        {"eventType": "Rendering Failure"},
    ],
)
def test_what_tells_of_no_email_is_ignored(message):
    assert ses_events.is_ignored(json.loads(json.dumps(message)))
