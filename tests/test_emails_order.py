"""An account's emails keep their order, whatever becomes of one of them."""

import itertools
import re

import pytest

from emails import limiter, sending, states
from emails.errors import InDoubt
from emails.models import Notification
from orders.models import Transaction
from queues import holding, sqs
from queues.events import Event
from queues.models import HandlingFailure, OutboxEvent
from tests.owed import claimed
from tests.support import make_account, make_transaction

pytestmark = pytest.mark.django_db

State = Notification.State


@pytest.fixture
def when_held():
    """Call a function, once, where the consumer would wait for the doubt to end; True stops the consumer."""

    def install(act):
        pauses = itertools.count()
        # The first is the one for a slot.
        holding.begin(lambda: next(pauses) == 1 and act())

    yield install
    holding.begin(lambda: False)


@pytest.fixture
def doubt(aws):
    """Two alerts of one account, the first in doubt."""
    aws.verify("ada@example.com")
    limiter.refresh()
    account = make_account()
    for _ in range(2):
        make_transaction(account=account)
    event = Event.from_json(OutboxEvent.objects.order_by("id")[0].body)
    notification = sending._owed(event, "transaction_alert", "ada@example.com")
    claim = claimed(notification)
    states.doubt(claim, InDoubt("lost"))
    return claim


def test_later_email_of_the_account_waits_for_one_in_doubt(doubt, aws, consume, when_held):
    when_held(lambda: True)

    consume("transactions")

    assert aws.accepted == []
    assert sqs.queue("transactions").depth().visible == 2
    assert not HandlingFailure.objects.exists()


def test_email_in_doubt_that_was_not_accepted_is_sent_before_the_later_one(
    doubt, aws, consume, when_held
):
    def prove_silence():
        sending.send_again(Notification.objects.all())
        return False

    when_held(prove_silence)

    consume("transactions")
    consume("transactions")

    sent = [re.findall(r"TXN-\d+", mail.raw_data)[0] for mail in aws.accepted]
    assert sent == list(Transaction.objects.order_by("id").values_list("reference", flat=True))


def test_where_a_person_decides_nothing_waits(settings, doubt, aws, consume):
    settings.SES_EVENTS_TOPIC = ""

    consume("transactions")
    consume("transactions")

    assert len(aws.accepted) == 1
    assert Notification.objects.get(pk=doubt.notification.pk).state == State.IN_DOUBT
