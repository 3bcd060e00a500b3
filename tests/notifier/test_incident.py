import json

import pytest
from django.core.management import CommandError, call_command

from emails.identities import identities
from notifier import incident
from orders.models import Order, Product
from queues.aws import sqs
from queues.errors import Reject
from queues.events.envelope import Event
from queues.models import DeadLetter
from tests.support.builders import make_product

pytestmark = pytest.mark.django_db


def names():
    return {each.name for each in identities.page().identities}


def refused_as(body):
    """Return the code with which a consumer refuses this message."""
    try:
        Event.from_json(body)
    except Reject as exc:
        return exc.code
    return ""


def test_incident_causes_what_it_says(aws):
    make_product()
    make_product()

    said = list(incident.stage(20))

    assert [line.split()[0] for line in said] == ["12", "4", "2", "2"]
    strangers = Order.objects.exclude(customer_email=incident.REGULAR[1])
    domains = {
        email.rpartition("@")[2] for email in strangers.values_list("customer_email", flat=True)
    }
    assert strangers.count() == 12
    assert domains == set(incident.DOMAINS)
    received = sqs.queue("orders").receive(limit=10, wait_seconds=0)
    codes = [refused_as(message.body) for message in received]
    assert sorted(codes) == ["BadData"] * 2 + ["BadEnvelope"] * 2 + ["UnknownType"] * 4


def test_messages_of_the_incident_say_what_is_at_stake(aws):
    make_product()

    list(incident.stage(20))

    bodies = [message.body for message in sqs.queue("orders").receive(limit=10, wait_seconds=0)]
    wrong = [json.loads(body) for body in bodies if " at " in body]
    assert all(each["data"]["total_cents"] > 0 for each in wrong)


def test_incident_can_be_staged_again_after_its_domains_were_verified(aws):
    make_product()
    aws.verify("acme.example")
    aws.verify("other.example")

    list(incident.stage(5))

    assert "acme.example" not in names()
    assert "other.example" in names()


def test_incident_that_is_over_leaves_no_dead_letter_waiting(aws, capsys, settings):
    settings.DEBUG = True
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", body="{}", code="C", reason="r")

    call_command("stage_incident", "--over")

    assert "1 dead letters were discarded" in capsys.readouterr().out
    assert incident.waiting() == 0


def test_incident_is_refused_outside_development(settings):
    settings.DEBUG = False

    with pytest.raises(CommandError, match="for development"):
        call_command("stage_incident")

    assert not Product.objects.exists()
