"""An earlier release that still runs while the database is this one's: what either writes, the other can use.

Its processes are played by the models of earlier migrations, which insert and update the columns they know.
"""

import json
from datetime import timedelta

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from emails.models import Notification
from queues.aws import sqs
from queues.models import OutboxEvent
from tests.support.owed import claimed, owed, place, placed

pytestmark = pytest.mark.django_db

APPS = ("emails", "orders", "queues")
LOADER = MigrationLoader(None)
CHAINS = [sorted(key for key in LOADER.graph.nodes if key[0] == app) for app in APPS]
# SQLite's clock knows no microseconds: what is due now would be due a millisecond later.
A_MOMENT = timedelta(seconds=1)


@pytest.fixture(scope="module", params=range(1, max(map(len, CHAINS))), ids="{} back".format)
def earlier(request):
    """The models that all apps had so many migrations ago, or at first."""
    nodes = [chain[max(0, len(chain) - 1 - request.param)] for chain in CHAINS]
    return LOADER.project_state(nodes).apps


def columns(model):
    return {field.column: field for field in model._meta.local_concrete_fields}


def record(earlier, event):
    return earlier.get_model("queues", "OutboxEvent").objects.create(
        event_id=event.id,
        type=event.type,
        subject=event.subject,
        queue=event.queue,
        body=event.to_json(),
        available_at=timezone.now() - A_MOMENT,
    )


def test_earlier_release_finds_its_columns_and_may_leave_out_the_new_ones(earlier):
    # By the table: a model may have got another name since.
    tables = {model._meta.db_table: model for model in apps.get_models()}
    for model in (model for app in APPS for model in earlier.get_app_config(app).get_models()):
        before, now = columns(model), columns(tables[model._meta.db_table])

        assert before.keys() <= now.keys()
        for name in now.keys() - before.keys():
            assert now[name].null or now[name].has_db_default(), f"{model._meta.label}.{name}"


def test_event_that_an_earlier_release_recorded_becomes_one_email(earlier, aws, consume):
    record(earlier, placed())

    consume()
    consume()

    assert len(aws.accepted) == 1


def test_email_that_an_earlier_release_put_back_is_sent_once(earlier, aws, consume):
    event = placed()
    record(earlier, event)
    notification = earlier.get_model("emails", "Notification").objects.create(
        event_id=event.id,
        event_type=event.type,
        subject=event.subject,
        template="order_confirmation",
        recipient=event.data["customer"]["email"],
        context=event.data,
        attempts=1,
        next_at=timezone.now() - A_MOMENT,
    )
    notification.attempt_rows.create(number=1, started_at=timezone.now(), outcome="not_sent")

    consume()

    assert len(aws.accepted) == 1
    assert Notification.objects.get().attempts == 2


def test_email_that_an_earlier_release_sends_of_our_event_is_not_sent_again(earlier, aws, consume):
    held = claimed(owed(place()))
    notification = earlier.get_model("emails", "Notification").objects.get(pk=held.notification.pk)
    notification.state, notification.provider_message_id = "sent", "ses-1"
    notification.save()

    consume()

    assert aws.accepted == []
    assert Notification.objects.get().state == "sent"


def test_row_that_an_earlier_relay_claimed_and_left_is_published(earlier, aws, consume):
    place()
    row = earlier.get_model("queues", "OutboxEvent").objects.get()
    row.state, row.lease_until = "claimed", timezone.now() - A_MOMENT
    row.save()

    consume()

    assert len(aws.accepted) == 1
    assert OutboxEvent.objects.get().state == "handled"


def test_message_with_no_more_than_the_first_envelope_had_becomes_an_email(aws, consume):
    event = placed().model_dump(mode="json")
    first = {name: event[name] for name in ("specversion", "id", "source", "type", "time", "data")}
    sqs.queue("orders").send_batch([sqs.Outgoing(key="1", body=json.dumps(first))])

    consume()

    assert len(aws.accepted) == 1
