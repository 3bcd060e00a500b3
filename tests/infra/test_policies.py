"""Compare each policy of infra/template.yaml with the calls of its role's code: nothing missing, nothing unused."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import cfnlint
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from moto import mock_aws

from emails.doctor import checks
from emails.identities import answers, identities, status_history
from emails.models import Breaker, Notification, Suppression
from emails.models.identities import IdentityStatus
from emails.sending import breakers, direct_emails
from emails.ses import provisioning as emails_provisioning
from emails.ses import ses_api, suppression_list
from notifier.alerts import alerts
from notifier.doctor import runs
from queues import registry
from queues.aws import clients, sns, sqs
from queues.consumer.in_flight import InFlight
from queues.consumer.loop import Consumer
from queues.dead_letters import collecting, decisions
from queues.doctor import findings
from queues.doctor.roundtrip import ProbeStep
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent
from queues.models.live import Duty
from queues.outbox import recording, relay
from queues.redrives import jobs
from queues.upkeep import sweeping, watching
from tests.support.aws import aws_calls
from tests.support.aws.aws_calls import Call
from tests.support.aws.stack import Stack, as_listed
from tests.support.builders import make_order, make_transaction

pytestmark = pytest.mark.django_db(transaction=True)

SES_EVENT = json.dumps(
    {
        "eventType": "Send",
        "mail": {
            "timestamp": "2026-11-22T10:00:00.000Z",
            "messageId": "0102",
            "destination": ["ada@example.com"],
        },
    }
)
POLICY_DATA = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
# Version 2 of SES's API knows a resource of these, version 1, which we call, does not.
VERSION_1_ONLY = {"ses:CreateConfigurationSet", "ses:CreateConfigurationSetEventDestination"}
# Their one kind of resource is a tenant, and we have none.
OF_TENANTS = {
    "ses:DeleteSuppressedDestination",
    "ses:GetSuppressedDestination",
    "ses:ListSuppressedDestinations",
    "ses:PutSuppressedDestination",
}
ALIASES = ("orders", "transactions", "ses-events")
TOPICS = {"orders": "notifier-orders", "transactions": "notifier-transactions.fifo"}


@pytest.fixture
def stack(settings):
    """Deployed, and the platform set as its outputs say."""
    with mock_aws():
        made = Stack()
        settings.QUEUES = {
            "orders": made.settings["QUEUE_ORDERS"],
            "transactions": made.settings["QUEUE_TRANSACTIONS"],
            "ses-events": made.settings["QUEUE_SES_EVENTS"],
        }
        settings.ALERTS_TOPIC = made.settings["ALERTS_TOPIC"]
        settings.ADMINS = [("ops@example.com", "ops@example.com")]
        # Each process asks for the queues' URLs once.
        sqs._queue.cache_clear()
        yield made
        sqs._queue.cache_clear()


def web(calls, client, settings):
    settings.OUTBOX_PUBLISH_ON_COMMIT = True
    make_order()
    make_transaction()
    _wait_for_publisher()


def relays(calls, client, settings):
    make_order()
    make_transaction()
    row = recording.adopt(
        sqs.queue("ses-events"),
        sqs.Received(id="1", receipt="1", body=SES_EVENT),
        state=OutboxEvent.State.PENDING,
    )
    while relay.publish_pending():
        pass
    row.refresh_from_db()
    assert row.state == OutboxEvent.State.PUBLISHED


def consumes(calls, client, settings):
    for settings.USE_SES_V2 in (False, True):
        with calls.paused():
            _fill("orders", "transactions")
        consumer = Consumer(sqs.queues(["orders", "transactions"]), concurrency=1)
        # Of a FIFO queue it takes one at a time.
        while consumer.poll_once():
            pass
    _heartbeat(settings)
    with calls.paused():
        _bury()
    assert collecting.collect_all() >= 3
    jobs.advance()
    _trip_breakers()
    sweeping.sweep()
    _doubt()
    sweeping.sweep()
    _change_suppressions()
    status_history.note({"new@example.org": "Pending"})
    watching.watch()
    Duty.objects.all().delete()
    status_history.note({"new@example.org": "Pending"})
    settings.USE_SES_V2 = True
    watching.watch()


def reads_events(calls, client, settings):
    with calls.paused():
        _put("ses-events", SES_EVENT, "no event of SES")
    Consumer(sqs.queues(["ses-events"]), concurrency=1).poll_once()


def administers(calls, client, settings):
    pages = reverse("admin:emails_identity_changelist")
    for settings.USE_SES_V2 in (False, True):
        answers.forget()
        for name in ("new@example.org", "example.org"):
            client.post(f"{pages}verify/", {"name": name})
        for page in ("", "new@example.org/"):
            assert client.get(f"{pages}{page}").status_code == 200
        chosen = {"name": "example.org", "mail_from": "bounce.example.org"}
        client.post(f"{pages}mail-from/", chosen | {"failing": "UseDefaultValue"})
        identities.statuses(["new@example.org"])
        client.post(f"{pages}delete/", {"name": "example.org", "typed": "example.org"})
        client.post(f"{pages}delete/", {"name": "new@example.org", "typed": "new@example.org"})
        # As alerts by email go.
        direct_emails.send_test("ada@example.com")
    suppression_list.get("ada@example.org")
    with calls.paused():
        _bury()
    client.post(reverse("admin:queues_deadletter_collect"))
    for preflight_of in registry.make_preflights():
        preflight_of([Event.from_json(make_order_event().body)])
    settings.OUTBOX_PUBLISH_ON_COMMIT = True
    assert decisions.redrive(DeadLetter.objects.all()) == 3
    _wait_for_publisher()
    alerts.check()
    topic = settings.ALERTS_TOPIC.replace("alerts", "ses-events")
    emails_provisioning.confirm_subscription(topic, "token")


def deploys(calls, client, settings):
    settings.ALERTS_TOPIC = "notifier-alerts"
    with calls.paused():
        for queue in sqs.queues():
            for each in (queue, sqs.dead_letter_queue(queue.alias)):
                sqs.client().delete_queue(QueueUrl=each.url)
        api = emails_provisioning._sns(settings.AWS_REGION)
        api.delete_topic(TopicArn=api.create_topic(Name=settings.SES_EVENTS_TOPIC)["TopicArn"])
    settings.TOPICS, settings.ARCHIVE_QUEUE = TOPICS, "notifier-archive"
    sqs._queue.cache_clear()
    call_command("provision", stdout=StringIO())
    with calls.paused():
        for alias, name in (TOPICS | {"ses-events": settings.SES_EVENTS_TOPIC}).items():
            topic = sns.Topic(alias, name)
            arn = topic.subscription(sqs.queue(alias).attributes()["QueueArn"])
            assert arn
            topic.set_subscription_attribute(arn, "RawMessageDelivery", "false")
    with aws_calls.answers(
        "sesv2.GetConfigurationSetEventDestinations",
        {"EventDestinations": [{"Name": emails_provisioning.DESTINATION, "Enabled": False}]},
    ):
        call_command("provision", stdout=StringIO())


def publishes_to_topics(calls, client, settings):
    settings.TOPICS = TOPICS
    with calls.paused():
        for alias, name in TOPICS.items():
            sns.Topic(alias, name).create()
        clients.forget_clients()
    make_order()
    make_transaction()
    while relay.publish_pending():
        pass


def archives(calls, client, settings):
    settings.ARCHIVE_QUEUE = "notifier-archive"
    archive = sqs.Queue("archive", settings.ARCHIVE_QUEUE)
    with calls.paused():
        archive.create({})
        archive.send_batch([sqs.Outgoing(key="1", body="{}")])
    archive = sqs.Queue("archive", settings.ARCHIVE_QUEUE)
    archive.delete_batch(archive.receive(limit=1, wait_seconds=0))


def runs_the_doctor(calls, client, settings):
    with calls.paused():
        # moto's CloudFormation makes no configuration set.
        emails_provisioning.provision(lambda line: None)
    for settings.USE_SES_V2 in (False, True):
        with patch.object(checks, "BOUNCE_SECONDS", 0):
            assert list(findings.collect(send=True))
        assert runs.send_email("ada@example.com", lambda step: None)
    for alias in ALIASES:
        said: list[ProbeStep] = []
        assert runs.trip(alias, said.append), said


JOURNEYS = {
    "web": web,
    "relay": relays,
    "consumer": consumes,
    "events": reads_events,
    "ops": administers,
    "doctor": runs_the_doctor,
    "deploy": deploys,
    "topics": publishes_to_topics,
    "archive": archives,
}


@pytest.mark.parametrize("role", JOURNEYS)
def test_role_may_make_each_call_that_its_code_makes_and_no_other(
    stack, role, admin_client, settings
):
    made = _walk(role, admin_client, settings).made

    missing = {call for call in made if not _is_allowed(stack.policy(role), call)}
    unused = _granted(stack.policy(role)) - made

    assert not missing, (
        f"the {role} role calls what {_title(role)} in infra/template.yaml does not grant; "
        f"add to it: {_words(missing)}"
    )
    assert not unused, (
        f"nothing in JOURNEYS[{role!r}] uses what {_title(role)} in infra/template.yaml grants; "
        f"take it away, or let the journey make the call: {_words(unused)}"
    )


def test_every_call_in_the_sources_belongs_to_a_role(stack, admin_client, settings):
    made = set()
    for role in JOURNEYS:
        if role not in _walked:
            _walk(role, admin_client, settings)
            _reset()
        made |= _walked[role].operations

    strangers = {
        f"{path}: {method}"
        for path, methods in aws_calls.in_sources().items()
        for method in methods
        if not aws_calls.operations_of(method) & made
    }

    assert not strangers, (
        "no journey of tests/infra/test_policies.py makes these calls: add them to the journey of "
        f"their role, then grant them in infra/template.yaml: {sorted(strangers)}"
    )


@pytest.mark.parametrize("role", JOURNEYS)
def test_policy_names_resources_wherever_iam_knows_any(stack, role):
    known = json.loads(POLICY_DATA.read_text())
    vague = set()
    for statement in stack.policy(role):
        for action in as_listed(statement["Action"]):
            service, _, name = action.partition(":")
            assert "*" not in action
            has_resources = known[service]["Actions"][name.lower()].get("Resources")
            if has_resources and "*" in as_listed(statement["Resource"]):
                vague.add(action)

    assert vague <= VERSION_1_ONLY | OF_TENANTS


def test_admin_may_throw_nothing_away_whatever_else_its_role_has(stack):
    (deny,) = [one for one in stack.policy("ops") if one["Effect"] == "Deny"]

    assert set(deny["Action"]) == {"sqs:PurgeQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes"}
    assert len(deny["Resource"]) == 6


def test_only_our_senders_may_be_sent_from(stack):
    for role in ("consumer", "ops", "doctor"):
        for statement in stack.policy(role):
            if "ses:SendRawEmail" in as_listed(statement["Action"]):
                assert statement["Condition"] == {
                    "StringEquals": {"ses:FromAddress": ["shop@example.com"]}
                }


# What was seen of each role, by whichever test came first.
_walked: dict[str, aws_calls.Calls] = {}


def _walk(role, client, settings):
    seconds = settings.QUEUE_VISIBILITY_SECONDS
    with aws_calls.recorded() as calls:
        with calls.paused():
            for name in ("shop@example.com", "ada@example.com", "ada@example.org"):
                ses_api.api().verify_email_identity(EmailAddress=name)
            Duty.objects.all().delete()
        JOURNEYS[role](calls, client, settings)
    settings.OUTBOX_PUBLISH_ON_COMMIT, settings.USE_SES_V2 = False, True
    settings.TOPICS, settings.ARCHIVE_QUEUE = {}, ""
    settings.QUEUE_VISIBILITY_SECONDS = seconds
    _walked[role] = calls
    return calls


def _reset():
    """Forget everything, as if the next role were the first."""
    for model in (Notification, Suppression, IdentityStatus):
        model.objects.all().delete()
    OutboxEvent.objects.all().delete()
    DeadLetter.objects.all().delete()


def _is_allowed(statements, call):
    return any(
        statement["Effect"] == "Allow"
        and call.action in as_listed(statement["Action"])
        and call.resource in as_listed(statement["Resource"])
        for statement in statements
    )


def _granted(statements):
    return {
        Call(action, resource)
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in as_listed(statement["Action"])
        for resource in as_listed(statement["Resource"])
    }


def _title(role):
    return f"{role.capitalize()}Policy"


def _words(calls):
    return ", ".join(f"{call.action} on {call.resource}" for call in sorted(calls))


def _wait_for_publisher():
    relay._publisher().submit(lambda: None).result()


def make_order_event():
    make_order()
    return OutboxEvent.objects.filter(queue="orders").latest("id")


def _put(alias, *bodies):
    queue = sqs.queue(alias)
    queue.send_batch(
        [
            sqs.Outgoing(key=str(number), body=body, group="g", deduplication_id=uuid4().hex)
            for number, body in enumerate(bodies)
        ]
    )


def _fill(*aliases):
    """Give each queue an email that SES takes and a message that fails."""
    make_order()
    make_transaction()
    while relay.publish_pending():
        pass
    for alias in aliases:
        _put(alias, "no envelope")


def _heartbeat(settings):
    """Renew the visibility, as while a handler takes long."""
    settings.QUEUE_VISIBILITY_SECONDS = 0
    for alias in ("orders", "transactions"):
        in_flight = InFlight()
        in_flight.take(sqs.queue(alias), [sqs.Received(id="1", receipt="none", body="")])
        in_flight.heartbeat()


def _bury():
    """A dead letter of each queue."""
    for alias in ALIASES:
        dead = sqs.dead_letter_queue(alias)
        message = sqs.Outgoing(key="1", body="no envelope", group="g", deduplication_id=uuid4().hex)
        dead.send_batch([message])


def _trip_breakers():
    for name in breakers.PROBE_SECONDS:
        breakers.trip(name, code="Any", reason="any")
    Breaker.objects.update(probe_at=timezone.now() - timedelta(seconds=1))


def _change_suppressions():
    """Change suppressions that SES must be told of."""
    for name, task in (("one@example.org", "add"), ("two@example.org", "remove")):
        Suppression.objects.create(
            address=name, source="staff", ses_task=task, since=timezone.now()
        )


def _doubt():
    """One that only the silence of SES can end, so that a canary is sent."""
    Notification.objects.filter(pk=Notification.objects.latest("pk").pk).update(
        state=Notification.State.IN_DOUBT, attempt_started_at=timezone.now(), safe_at=None
    )
