from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.stub import Stubber
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from emails.models import Attempt, Breaker, Notification, SendRate
from emails.sending import breakers, limiter, states
from emails.ses import ses_api
from queues import registry
from queues.consumer import in_flight, retry_in_place
from queues.models import HandlingFailure
from queues.upkeep import sweeping
from tests.faults.world.world import World
from tests.support.owed import only, place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def stop_when_held():
    """A consumer that stops as soon as a breaker is open, so that nothing waits for a quarter of an hour."""
    retry_in_place.begin(lambda: Breaker.objects.filter(is_open=True).exists())
    yield
    retry_in_place.begin(lambda: False)


@pytest.mark.parametrize(
    ("code", "text", "breaker"),
    [
        ("Throttling", "Daily message quota exceeded.", breakers.QUOTA),
        ("LimitExceededException", "limit", breakers.QUOTA),
        ("AccountSendingPausedException", "paused", breakers.ACCOUNT),
        ("AccountSuspendedException", "suspended", breakers.ACCOUNT),
        ("ConfigurationSetDoesNotExist", "no such set", breakers.CONFIGURATION),
        ("ExpiredToken", "expired", breakers.CONFIGURATION),
        ("SignatureDoesNotMatch", "no match", breakers.CONFIGURATION),
        ("AccessDenied", "not allowed", breakers.CONFIGURATION),
        ("OptInRequired", "needs a subscription for the service.", breakers.CONFIGURATION),
        ("MessageRejected", "Sending paused for this account.", breakers.ACCOUNT),
        ("MessageRejected", "Email sending for the account is paused.", breakers.ACCOUNT),
        (
            "MessageRejected",
            "Email sending for the configuration set notifier is paused.",
            breakers.ACCOUNT,
        ),
        (
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region "
            "EU-WEST-1: Notifier Shop <shop@example.com>, ada@example.com",
            breakers.CONFIGURATION,
        ),
    ],
)
def test_trouble_of_our_own_opens_a_breaker_and_burns_nothing(
    consume, refuses, code, text, breaker
):
    refuses(code, text)
    place()

    consume()

    row = Breaker.objects.get()
    assert (row.name, row.is_open, row.code) == (breaker, True, code)
    assert only().state == Notification.State.PENDING
    assert only().attempt_rows.get().outcome == Attempt.Outcome.HELD
    assert not HandlingFailure.objects.exists()


@pytest.mark.parametrize(
    "exc",
    [
        boto.UnauthorizedSSOTokenError(),
        boto.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        boto.NoAuthTokenError(),
        boto.RefreshWithMFAUnsupportedError(),
        boto.ConfigNotFound(path="/home/shop/.aws/config"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_credentials_that_cannot_be_got_open_a_breaker_and_leave_no_doubt(aws, consume, exc):
    def fail(**kwargs):
        raise exc

    events = ses_api.connection().connection.meta.events
    events.register("before-sign.sesv2", fail)
    place()
    consume()
    events.unregister("before-sign.sesv2", fail)

    assert only().state == Notification.State.PENDING
    assert Breaker.objects.get().name == breakers.CONFIGURATION
    assert not HandlingFailure.objects.exists()


def test_open_breaker_closes_the_queues_of_emails_and_leaves_events_readable():
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")

    assert registry.why_closed("orders") == "breaker quota: Quota: used up"
    assert registry.why_closed("ses-events") == ""


def test_breaker_is_told_once_however_often_it_trips(caplog):
    for _ in range(3):
        breakers.trip(breakers.ACCOUNT, code="Paused", reason="by hand")

    assert caplog.text.count("breaker account open") == 1


@pytest.mark.parametrize("name", [breakers.QUOTA, breakers.CONFIGURATION])
def test_probe_closes_what_has_healed(aws, settings, name):
    settings.BREAKER_PROBE_SECONDS = -1
    breakers.trip(name, code="X", reason="x")

    assert breakers.probe() == 1
    assert registry.why_closed("orders") == ""


def test_probe_keeps_open_what_has_not_healed_and_says_why(aws, settings):
    settings.BREAKER_PROBE_SECONDS = -1
    ses_api.api().delete_identity(Identity="shop@example.com")
    breakers.trip(breakers.CONFIGURATION, code="X", reason="x")

    assert breakers.probe() == 0
    assert "the sender shop@example.com is not verified" in registry.why_closed("orders")


@pytest.mark.parametrize(
    ("account", "configuration_set", "closed"),
    [(True, True, 1), (True, None, 1), (True, False, 0), (False, True, 0)],
)
def test_probe_of_a_paused_account_asks_whether_it_may_send(
    aws, settings, account, configuration_set, closed
):
    settings.BREAKER_PROBE_SECONDS = -1
    breakers.trip(breakers.ACCOUNT, code="X", reason="x")
    options = {} if configuration_set is None else {"SendingEnabled": configuration_set}

    with Stubber(ses_api.api()) as stubber:
        stubber.add_response("get_account_sending_enabled", {"Enabled": account})
        stubber.add_response("describe_configuration_set", {"ReputationOptions": options})
        assert breakers.probe() == closed


def test_probe_closes_where_ses_tells_of_the_account_only(aws, settings):
    settings.BREAKER_PROBE_SECONDS = -1
    breakers.trip(breakers.ACCOUNT, code="X", reason="x")

    with Stubber(ses_api.api()) as stubber:
        stubber.add_response("get_account_sending_enabled", {"Enabled": True})
        stubber.add_client_error("describe_configuration_set", "AccessDenied")
        assert breakers.probe() == 1


@pytest.mark.parametrize("answer", [{}, {"Enabled": "yes"}])
def test_probe_of_an_account_that_answers_oddly_keeps_it_closed(aws, settings, answer):
    settings.BREAKER_PROBE_SECONDS = -1
    breakers.trip(breakers.ACCOUNT, code="X", reason="x")
    client: Any = ses_api.api()
    events = client.meta.events
    event = "before-call.ses.GetAccountSendingEnabled"
    events.register(event, odd := lambda **kwargs: (SimpleNamespace(status_code=200), answer))

    assert breakers.probe() == 0

    events.unregister(event, odd)


def test_probe_waits_for_its_time(aws):
    breakers.trip(breakers.QUOTA, code="X", reason="x")

    assert breakers.probe() == 0


def test_throttled_email_is_sent_from_the_same_receive_only_slower(aws, consume, refuses):
    refuses("Throttling", "Maximum sending rate exceeded.", times=1)
    place()

    consume()

    outcomes = [attempt.outcome for attempt in only().attempt_rows.all()]
    assert outcomes == [Attempt.Outcome.HELD, Attempt.Outcome.ACCEPTED]
    rate = SendRate.objects.get()
    assert rate.slowed_until is not None
    assert rate.step_us > 1_000_000 / rate.max_send_rate * 1.4


def test_full_throttle_leaves_one_row_and_burns_no_receive(aws, consume, refuses, monkeypatch):
    monkeypatch.setattr(limiter, "PAUSE_SHARE", 0)
    refuses("Throttling", "Maximum sending rate exceeded.", times=5)
    place()

    consume()

    attempts = [(row.number, row.outcome) for row in only().attempt_rows.all()]
    assert attempts == [(5, Attempt.Outcome.HELD), (6, Attempt.Outcome.ACCEPTED)]
    assert not HandlingFailure.objects.exists()


def test_acceptance_of_an_attempt_whose_row_is_gone_is_counted_all_the_same(
    aws, consume, refuses, monkeypatch
):
    monkeypatch.setattr(limiter, "PAUSE_SHARE", 0)
    refuses("Throttling", "Maximum sending rate exceeded.", times=3)
    place()
    consume()

    states.accept(only().pk, 1, "ses-of-the-first")
    states.accept(only().pk, 99, "ses-of-nobody")

    accepted = only().attempt_rows.filter(outcome=Attempt.Outcome.ACCEPTED)
    assert [row.number for row in accepted] == [1, 4]


@pytest.mark.django_db(transaction=True)
def test_until_empty_fails_while_a_breaker_keeps_a_queue_closed(aws):
    breakers.trip(breakers.ACCOUNT, code="Paused", reason="by hand")

    with pytest.raises(
        CommandError, match="queue orders was not read: breaker account: Paused: by hand"
    ):
        call_command("consume_queue", "--until-empty")


@pytest.fixture
def world():
    """A world in which SES takes no more emails today, and one order."""
    with World(1) as world:
        world.ses.trouble = "quota"
        world.place_order(1)
        world.relay()
        yield world


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the clock is that of SQLite")
def test_email_that_waits_for_a_breaker_goes_out_of_the_same_receive_once_it_closes(world):
    def heal():
        if world.clock.time() - began > 100:
            breakers.reset(breakers.QUOTA)
            world.ses.trouble = ""

    began, world.clock.on_sleep = world.clock.time(), heal

    world.consume("orders", patience=800)

    assert 100 < world.clock.time() - began < 110
    assert world.accepted == {"ORD-000001"}
    assert [row.outcome for row in only().attempt_rows.order_by("number")] == ["held", "accepted"]
    assert not HandlingFailure.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the clock is that of SQLite")
def test_email_waits_for_a_breaker_less_than_its_message_stays_in_flight(world):
    began, world.clock.on_sleep = world.clock.time(), lambda: None

    world.consume("orders", patience=5000)

    assert 600 < world.clock.time() - began < in_flight.MAX_HOLD_SECONDS
    assert world.accepted == set()
    assert HandlingFailure.objects.get().code == "Throttling"
    assert only().state == Notification.State.PENDING


# --- The rows


def seconds_from_now(moment):
    return (moment - timezone.now()).total_seconds()


# "Daily message quota exceeded": wait up to ten minutes, says SES's developer guide.
PROBES = {breakers.QUOTA: 600, breakers.ACCOUNT: 60, breakers.CONFIGURATION: 30}


@pytest.mark.parametrize(("name", "seconds"), PROBES.items())
@pytest.mark.parametrize("setting", [0, 7, 9999])
def test_breaker_is_probed_after_its_time_or_sooner_if_settings_say_so(
    settings, name, seconds, setting
):
    settings.BREAKER_PROBE_SECONDS = setting
    breakers.trip(name, code="X", reason="x")

    probed_in = seconds_from_now(Breaker.objects.get().probe_at)

    seconds = min(seconds, setting or seconds)
    assert seconds - 5 < probed_in <= seconds


def test_breaker_that_opens_says_why_and_since_when_and_keeps_its_first_reason():
    Breaker.objects.create(pk=breakers.ACCOUNT, is_open=False, code="Old")
    breakers.trip(breakers.QUOTA, code="Code" * 30, reason="used up")
    first = Breaker.objects.values().get(pk=breakers.QUOTA)

    breakers.trip(breakers.QUOTA, code="Other", reason="another")

    assert first["is_open"]
    assert (first["code"], first["reason"]) == (("Code" * 30)[:100], "used up")
    assert abs(seconds_from_now(first["opened_at"])) < 5
    assert Breaker.objects.values().get(pk=breakers.QUOTA) == first
    other = Breaker.objects.get(pk=breakers.ACCOUNT)
    assert (other.is_open, other.code) == (False, "Old")


def test_breaker_that_is_closed_closes_alone_and_once():
    for name in (breakers.QUOTA, breakers.ACCOUNT):
        breakers.trip(name, code="X", reason="x")

    assert [breakers.reset(breakers.QUOTA) for _ in range(2)] == [True, False]
    assert Breaker.objects.get(is_open=True).pk == breakers.ACCOUNT


def test_closed_breaker_can_open_again():
    breakers.trip(breakers.QUOTA, code="X", reason="x")
    breakers.reset(breakers.QUOTA)

    breakers.trip(breakers.QUOTA, code="Y", reason="y")

    assert registry.why_closed("orders") == "breaker quota: Y: y"


def test_sweep_probes_the_breakers_that_are_due_and_puts_off_the_next_probe(aws, settings):
    for name in (breakers.QUOTA, breakers.CONFIGURATION):
        breakers.trip(name, code="X", reason="x")
    ses_api.api().delete_identity(Identity="shop@example.com")
    past = timezone.now() - timedelta(seconds=1)
    Breaker.objects.update(probe_at=past)
    Breaker.objects.create(
        pk=breakers.ACCOUNT, is_open=True, probe_at=timezone.now() + timedelta(hours=1)
    )

    sweeping.sweep()

    rows = Breaker.objects.in_bulk()
    assert not rows[breakers.QUOTA].is_open
    assert rows[breakers.ACCOUNT].is_open and rows[breakers.ACCOUNT].code == ""
    kept = rows[breakers.CONFIGURATION]
    assert kept.is_open and "is not verified" in kept.reason and kept.code != "X"
    assert seconds_from_now(kept.probe_at) > 20


def test_closed_breaker_is_not_probed(aws):
    past = timezone.now() - timedelta(seconds=1)
    Breaker.objects.create(pk=breakers.QUOTA, is_open=False, probe_at=past)

    assert breakers.probe() == 0
    assert Breaker.objects.get().probe_at == past


@pytest.mark.parametrize("change", ["probed", "closed"])
def test_breaker_that_another_process_has_probed_meanwhile_is_left_alone(aws, settings, change):
    settings.BREAKER_PROBE_SECONDS = -1
    breakers.trip(breakers.QUOTA, code="X", reason="x")

    def another_is_faster(execute, sql, *rest):
        if sql.startswith("UPDATE"):
            with connection.cursor() as cursor:
                if change == "closed":
                    cursor.connection.execute("UPDATE emails_breaker SET is_open = false")
                else:
                    cursor.connection.execute("UPDATE emails_breaker SET probe_at = '2099-01-01'")
        return execute(sql, *rest)

    with connection.execute_wrapper(another_is_faster):
        assert breakers.probe() == 0

    assert Breaker.objects.get().is_open == (change == "probed")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the clock is that of SQLite")
def test_email_waits_only_for_the_breaker_that_holds_it(world):
    breakers.trip(breakers.ACCOUNT, code="X", reason="x")
    Breaker.objects.update(is_open=False)

    def heal():
        if world.clock.time() - began > 100 and world.ses.trouble:
            world.ses.trouble = ""
            breakers.reset(breakers.QUOTA)
            Breaker.objects.filter(pk=breakers.ACCOUNT).update(is_open=True)

    began, world.clock.on_sleep = world.clock.time(), heal

    world.consume("orders", patience=800)

    assert world.accepted == {"ORD-000001"}
