"""A probe on its way, and what staff are shown of it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from notifier.doctor.runs import trip
from queues.aws import sqs
from queues.doctor import roundtrip, runs
from queues.doctor.roundtrip import ProbeStep
from queues.models import DeadLetter
from queues.models.doctor_runs import DoctorRun
from tests.conftest import SENDER
from tests.support.living import make_consumer
from tests.support.processes import wait_until
from tests.support.rows import staff

PLAIN = ["look", "make", "send", "receive", "hide", "give back", "delete"]
FIFO = [*PLAIN, "order", "group", "deduplication"]


def steps_of(alias: str) -> list[ProbeStep]:
    steps: list[ProbeStep] = []
    trip(alias, steps.append)
    return steps


def names() -> set[str]:
    return {url.rpartition("/")[2] for url in sqs.urls("notifier")}


@pytest.mark.parametrize(("alias", "wanted"), [("orders", PLAIN), ("transactions", FIFO)])
def test_probe_proves_what_its_kind_of_queue_promises_and_leaves_nothing(aws, alias, wanted):
    before = names()

    steps = steps_of(alias)

    assert [step.name for step in steps if step.is_ok] == [*wanted, "remove"]
    assert {step.id for step in steps if step.name in ("send", "receive", "delete")} == {
        steps[2].id
    }
    assert names() == before


def test_messages_of_the_business_are_not_touched(aws):
    queue = sqs.queue("orders")
    queue.send_batch([sqs.Outgoing(key="1", body="a customer's")])

    steps_of("orders")

    [message] = queue.receive(limit=1, wait_seconds=0)
    assert (message.body, message.receive_count) == ("a customer's", 1)


def test_probe_queue_has_the_attributes_of_the_real_one(aws, monkeypatch):
    made: dict[str, Any] = {}
    events = sqs.client().meta.events

    def note(params: dict[str, Any], **kwargs: Any) -> None:
        made.update(params["Attributes"])

    events.register("provide-client-params.sqs.CreateQueue", note)
    try:
        steps_of("transactions")
    finally:
        events.unregister("provide-client-params.sqs.CreateQueue", note)

    assert made["FifoQueue"] == made["SqsManagedSseEnabled"] == "true"
    assert "RedrivePolicy" not in made


def test_missing_right_is_named_and_the_probe_queue_is_removed_all_the_same(aws):
    text = "User: arn:aws:iam::1:user/x is not authorized to perform: sqs:sendmessage on y"
    answer = {"Error": {"Code": "AccessDenied", "Message": text}, "ResponseMetadata": {}}
    events = sqs.client().meta.events

    def refuse(**kwargs: Any) -> Any:
        return SimpleNamespace(status_code=403), answer

    before = names()
    events.register("before-call.sqs.SendMessageBatch", refuse)
    try:
        steps = steps_of("orders")
    finally:
        events.unregister("before-call.sqs.SendMessageBatch", refuse)

    [failed] = [step for step in steps if not step.is_ok]
    assert failed.name == "send"
    assert "The right sqs:SendMessage on queue notifier-orders-probe-" in failed.what
    assert names() == before


def test_what_a_killed_round_trip_left_is_removed_by_the_next(aws, monkeypatch):
    left = sqs.Queue("left", "notifier-orders-probe-00000000")
    left.create({})
    monkeypatch.setattr(roundtrip, "LEFT_SECONDS", -1)

    steps = steps_of("orders")

    assert "removed 1 that an earlier round trip left" in steps[0].what
    assert left.name not in names()


def test_missing_queue_is_told_with_what_makes_it(aws):
    sqs.client().delete_queue(QueueUrl=sqs.queue("orders").url)

    [step] = steps_of("orders")

    assert not step.is_ok
    assert "manage.py provision" in step.what


@pytest.mark.django_db
def test_command_follows_the_probe_with_an_email(aws, capsys):
    call_command("roundtrip", "orders", email=SENDER)

    said = capsys.readouterr().out
    assert "all went well" in said
    assert SENDER not in said
    assert [set(mail.destinations) for mail in aws.accepted] == [{SENDER}]


@pytest.mark.django_db
def test_command_fails_with_the_step_that_failed(aws, refuses, capsys):
    refuses("MessageRejected", "Email address is not verified: ada@example.com")

    with pytest.raises(CommandError):
        call_command("roundtrip", "orders", email="ada@example.com")

    said = capsys.readouterr().out
    assert "FAILED email" in said
    assert "ada@example.com" not in said


def test_command_says_which_queues_there_are(aws):
    with pytest.raises(CommandError, match="orders, transactions"):
        call_command("roundtrip", "ordres")


@pytest.fixture
def operator(client, db):
    client.force_login(staff(role="operator"))
    return client


def test_doctor_run_asked_for_in_the_admin_is_carried_out_by_a_consumer(operator, account):
    make_consumer()

    page = operator.post(reverse("doctor-check"), follow=True)
    assert "It starts within seconds" in page.content.decode()
    assert runs.advance() == 1

    run = DoctorRun.objects.get()
    shown = operator.get(reverse("doctor-run", args=[run.pk])).content.decode()
    assert run.state == "done"
    assert "notifier-orders and notifier-orders-dlq" in shown or "notifier-orders" in shown
    assert "The set-up is in order" in shown or "The set-up has" in shown


def test_doctor_run_tells_of_dead_letters_and_leads_to_them(operator, account):
    make_consumer()
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", body="{}", code="C", reason="r")
    operator.post(reverse("doctor-check"))

    runs.advance()

    shown = operator.get(reverse("doctor-run", args=[DoctorRun.objects.get().pk])).content.decode()
    assert "; 1 dead letter waits." in shown
    assert f'href="{reverse("admin:queues_deadletter_groups")}">See what waits' in shown
    assert "all is well" not in operator.get(reverse("doctor-runs")).content.decode().lower()


def test_round_trip_asked_for_in_the_admin_keeps_its_steps(operator, aws):
    make_consumer()
    operator.post(reverse("doctor-roundtrip"), {"alias": "orders", "email": SENDER})

    runs.advance()

    run = DoctorRun.objects.get()
    assert run.verdict == "good"
    assert [step["name"] for step in run.results] == [*PLAIN, "remove", "email"]
    assert "Given back, it came again at once" in (
        operator.get(reverse("doctor-run", args=[run.pk])).content.decode()
    )
    assert LogEntry.objects.get().object_id == str(run.pk)


def test_doctor_run_is_carried_out_once(operator, aws):
    runs.ask("roundtrip", {"alias": "orders"}, by="ada")

    assert [runs.advance(), runs.advance()] == [1, 0]


def test_doctor_run_that_failed_by_itself_says_so(operator, aws, monkeypatch):
    run = runs.ask("doctor", {}, by="ada")
    monkeypatch.setitem(runs._runners, "doctor", "notifier.no_such")

    with pytest.raises(ImportError):
        runs.advance()

    page = operator.get(reverse("doctor-run", args=[run.pk])).content.decode()
    assert "The run itself failed" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"asked_at": timezone.now() - timedelta(minutes=1)}, "No consumer has taken it"),
        (
            {"state": "running", "started_at": timezone.now() - timedelta(hours=1)},
            "died before it was done. Start it again.",
        ),
    ],
)
def test_doctor_run_that_nobody_will_end_says_so(operator, changes, words):
    run = runs.ask("doctor", {}, by="ada")
    DoctorRun.objects.update(**changes)

    assert words in operator.get(reverse("doctor-run", args=[run.pk])).content.decode()


def test_unknown_queue_is_refused(operator, aws):
    page = operator.post(reverse("doctor-roundtrip"), {"alias": "nope"}, follow=True)

    assert "Select a valid choice" in page.content.decode()
    assert not DoctorRun.objects.exists()


def test_addresses_are_masked_for_who_may_not_see_them(client, db):
    row = {"name": "email", "what": "to ada@example.com", "milliseconds": 1, "is_ok": True}
    run = runs.ask("roundtrip", {"alias": "orders", "email": "ada@example.com"}, by="g")
    DoctorRun.objects.update(results=[row])
    client.force_login(staff(role="auditor"))

    for page in (reverse("doctor-runs"), reverse("doctor-run", args=[run.pk])):
        assert "ada@example.com" not in client.get(page).content.decode()


def test_run_of_an_earlier_release_still_says_what_to_do(operator):
    finding = {"key": "k", "what": "w", "verdict": "error", "why": "", "area": "SES"}
    run = runs.ask("doctor", {}, by="ada")
    DoctorRun.objects.update(results=[finding | {"mend": "Verify it."}], state="done")

    page = operator.get(reverse("doctor-run", args=[run.pk])).content.decode()

    assert "Verify it." in page


@pytest.mark.processes
def test_bounce_and_probes_come_back_through_a_real_consumer(platform):
    platform.consumer()
    doctor = platform.manage("doctor", "--send")
    probe = platform.manage("roundtrip")

    assert doctor.wait() < 2, doctor.output
    # By now the consumer has said that it lives, or it would be carried out here.
    run = runs.ask("roundtrip", {"alias": "transactions"}, by="ada")
    assert "Its bounce was reported and read after" in doctor.output
    assert probe.wait() == 0, probe.output
    wait_until(
        lambda: DoctorRun.objects.filter(pk=run.pk, verdict="good").exists(),
        what="the round trip of the admin",
    )
