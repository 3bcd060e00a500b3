import time
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from django.db import connection
from django.utils import timezone

from emails.models import Notification, SendRate, Suppression
from emails.sending import limiter, notifying
from emails.ses import ses_api
from queues.consumer import retry_in_place
from queues.errors import GiveBack
from tests.support.owed import only, place, placed
from tests.support.threads import at_once


def taken(count=1):
    """Microseconds until the first of so many slots; None if it is too far away."""
    found = limiter.reserve(count)
    return found and found.wait_us


@pytest.fixture
def rate(aws, settings):
    """Let SES take so many recipients a second from now on."""

    def set_rate(per_second):
        settings.SES_MAX_SEND_RATE = per_second
        SendRate.objects.all().delete()
        limiter.refresh()

    return set_rate


@pytest.fixture
def refuses_quota(aws, request):
    """Let SES refuse, or not, to tell its quota."""

    def refuse(**kwargs):
        raise EndpointConnectionError(endpoint_url="http://ses")

    def install(is_refusing):
        if is_refusing:
            events = ses_api.api().meta.events
            events.register("before-send.ses.GetSendQuota", refuse)
            request.addfinalizer(lambda: events.unregister("before-send.ses.GetSendQuota", refuse))

    return install


@pytest.fixture
def stall():
    """Let the next pause take so long."""
    left: list[float] = []

    def is_stopping():
        time.sleep(left.pop() if left else 0)
        return False

    retry_in_place.begin(is_stopping)
    yield left.append
    retry_in_place.begin(lambda: False)


@pytest.mark.django_db
def test_slots_follow_each_other_at_the_rate(rate):
    rate(10)

    waits = [taken() or 0 for _ in range(4)]

    steps = [later - earlier for earlier, later in zip(waits, waits[1:], strict=False)]
    assert waits[0] == 0
    assert all(80_000 < step < 105_000 for step in steps)


@pytest.mark.django_db
def test_no_slot_is_given_more_than_two_seconds_ahead(rate):
    rate(1)

    waits = [taken() for _ in range(4)]

    assert [wait is None for wait in waits] == [False, False, False, True] or waits[2] is None
    assert max(wait for wait in waits if wait is not None) <= limiter.MAX_AHEAD_US


@pytest.mark.django_db
def test_slots_taken_together_are_a_step_apart(rate):
    rate(10)

    slots = limiter.wait_for_slots(3)
    after = taken()

    steps = [later.at - earlier.at for earlier, later in zip(slots, slots[1:], strict=False)]
    assert all(0.09 < step < 0.105 for step in steps)
    assert after > 200_000


@pytest.fixture
def never_missed(monkeypatch):
    """However slow this machine is."""
    monkeypatch.setattr(limiter, "MAX_LATE_US", 3_600_000_000)


@pytest.mark.django_db
def test_slot_that_was_given_back_is_taken_before_a_new_one(rate, never_missed):
    rate(10)
    first, second, third = limiter.wait_for_slots(3)
    before = SendRate.objects.get().tat_us

    limiter.give_back([second, third])

    assert limiter.wait_for_slots(1) == [second]
    assert SendRate.objects.get().tat_us == before
    assert limiter.wait_for_slots(2)[0] == third
    assert SendRate.objects.get().tat_us > before


@pytest.mark.django_db
def test_slot_that_was_given_back_and_missed_is_thrown_away(rate):
    rate(10)
    late = limiter.Slot(time.monotonic() - 1)

    limiter.give_back([late])

    assert limiter.wait_for_slots(1) != [late]


@pytest.mark.django_db
def test_suppressed_email_takes_none_of_the_rate(rate, consume, never_missed):
    rate(2)
    Suppression.objects.create(address="no@example.com", source="bounce", since=timezone.now())
    place(recipient="no@example.com")
    consume()
    before = SendRate.objects.get().tat_us

    place(recipient="no@example.com")
    place(recipient="yes@example.com")
    consume()

    assert sorted(Notification.objects.values_list("state", flat=True)) == [
        "sent",
        "suppressed",
        "suppressed",
    ]
    assert SendRate.objects.get().tat_us == before


@pytest.mark.django_db
def test_idle_time_is_not_saved_up_for_a_burst(rate):
    rate(10)
    limiter.reserve(1)
    SendRate.objects.update(tat_us=0)

    waits = [taken() or 0 for _ in range(3)]

    assert waits[1] > 80_000
    assert waits[2] > 180_000


@pytest.mark.django_db
def test_rate_and_quota_come_from_ses_unless_set(aws, settings):
    settings.SES_MAX_SEND_RATE = 0

    assert limiter.refresh() is True

    row = SendRate.objects.get()
    assert row.max_send_rate == 1.0
    assert row.max_24_hour_send == 200.0


@pytest.mark.django_db
@pytest.mark.parametrize("ses", ["answers", "does not answer"])
def test_rate_that_is_set_counts_whatever_ses_says(aws, settings, refuses_quota, ses):
    settings.SES_MAX_SEND_RATE = 5
    refuses_quota(ses == "does not answer")

    for _ in range(2):
        limiter.refresh()
        SendRate.objects.update(refresh_at=timezone.now() - timedelta(seconds=1))

    assert SendRate.objects.get().max_send_rate == 5
    assert limiter.rate() == pytest.approx(4.9, rel=0.001)


@pytest.mark.django_db
def test_only_one_process_asks_ses_each_minute(aws):
    assert [limiter.refresh() for _ in range(3)] == [True, False, False]


@pytest.mark.django_db
def test_throttles_at_the_same_time_slow_down_once(rate):
    rate(10)
    step = SendRate.objects.get().step_us

    for _ in range(8):
        limiter.slow_down()

    assert SendRate.objects.get().step_us == step * 3 // 2


@pytest.mark.django_db
def test_throttle_after_a_slow_down_slows_down_more(rate):
    rate(10)
    step = SendRate.objects.get().step_us

    limiter.slow_down()
    SendRate.objects.update(slowed_until=timezone.now() + timedelta(seconds=58))
    limiter.slow_down()

    assert SendRate.objects.get().step_us == step * 3 // 2 * 3 // 2


@pytest.mark.django_db
def test_many_throttles_leave_a_sixth_of_the_rate(rate):
    rate(10)
    step = SendRate.objects.get().step_us

    for _ in range(20):
        SendRate.objects.update(slowed_until=timezone.now() + timedelta(seconds=58))
        limiter.slow_down()

    row = SendRate.objects.get()
    assert 4 * step < row.step_us < 6.1 * step
    assert row.slowed_until and row.slowed_until > timezone.now() + timedelta(seconds=59)


@pytest.fixture
def clock(monkeypatch):
    """The limiter's clock, which a test sets."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def throttled(clock, *, seconds, every):
    """Let SES throttle one call ``every`` so many seconds, and nothing else; returns the steps in seconds."""
    steps = []
    for _ in range(int(seconds / every)):
        clock[0] += every
        SendRate.objects.update(slowed_until=timezone.now() + timedelta(seconds=58))
        limiter.slow_down()
        steps.append(SendRate.objects.get().step_us / 1_000_000)
    return steps


@pytest.mark.django_db
@pytest.mark.parametrize("per_second", [0.5, 14, 10_000])
def test_full_throttle_slows_down_to_a_call_in_five_seconds(rate, clock, per_second):
    rate(per_second)

    steps = throttled(clock, seconds=30, every=1)

    assert steps == sorted(steps)
    assert steps[10] >= 2.5
    assert max(5, 1 / per_second) <= steps[-1] <= max(5, 4.1 / per_second * 1.5)


@pytest.mark.django_db
def test_full_throttle_never_exceeds_a_rate_that_is_set(rate, clock):
    rate(0.1)

    assert min(throttled(clock, seconds=30, every=1)) >= 10


@pytest.mark.django_db
def test_accepted_email_ends_a_full_throttle(rate, clock):
    rate(10)
    normal = SendRate.objects.get().step_us
    throttled(clock, seconds=30, every=1)

    limiter.speed_up()

    assert normal < SendRate.objects.get().step_us <= 4.1 * normal
    clock[0] += 1
    assert throttled(clock, seconds=1, every=1)[0] < 1


@pytest.mark.django_db
def test_throttling_now_and_then_never_goes_below_a_sixth(rate, clock):
    rate(10)
    normal = SendRate.objects.get().step_us

    for _ in range(50):
        throttled(clock, seconds=2, every=1)
        limiter.speed_up()

    assert SendRate.objects.get().step_us < 6.1 * normal


@pytest.mark.django_db
def test_account_that_may_not_send_keeps_the_rate_that_is_known(aws, settings):
    settings.SES_MAX_SEND_RATE = 0
    limiter.refresh()
    past = timezone.now() - timedelta(seconds=1)
    SendRate.objects.update(refresh_at=past)

    with Stubber(ses_api.api()) as stubber:
        answer = {"MaxSendRate": 0.0, "Max24HourSend": 0.0, "SentLast24Hours": 0.0}
        stubber.add_response("get_send_quota", answer)
        assert limiter.refresh() is True

    assert SendRate.objects.get().max_send_rate == 1.0


@pytest.mark.django_db
def test_slow_down_ends_after_a_minute(rate):
    rate(10)
    normal = SendRate.objects.get().step_us
    limiter.slow_down()
    assert SendRate.objects.get().step_us == normal * 3 // 2

    past = timezone.now() - timedelta(seconds=1)
    SendRate.objects.update(slowed_until=past, refresh_at=past)
    limiter.refresh()

    assert SendRate.objects.get().step_us == normal


@pytest.mark.django_db
def test_rate_of_now_is_a_little_less_than_allowed_and_less_after_a_throttle(rate):
    assert limiter.rate() is None

    rate(100)
    before = limiter.rate()
    limiter.slow_down()

    assert before == pytest.approx(98, rel=0.001)
    assert limiter.rate() == pytest.approx(98 * 2 / 3, rel=0.001)


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_many_at_once_share_one_rate(rate):
    rate(100)
    began = time.time()

    def slots():
        return [taken() for _ in range(10)]

    waits = [wait for found in at_once(6, slots) for wait in found if wait is not None]

    seconds = time.time() - began
    row = SendRate.objects.get()
    assert len(waits) == 60
    assert row.tat_us / 1e6 - began >= 60 * row.step_us / 1e6 - seconds


@pytest.mark.django_db
@pytest.mark.parametrize(("late_seconds", "exchanged"), [(0.1, 0), (0.3, 1), (30, 1)])
def test_slot_that_was_missed_by_much_is_exchanged_for_another(rate, late_seconds, exchanged):
    rate(100)
    limiter.reserve(1)
    before = SendRate.objects.get()

    limiter.Slot(time.monotonic() - late_seconds).wait()

    after = SendRate.objects.get()
    assert (after.tat_us > before.tat_us) == bool(exchanged)


@pytest.mark.django_db
@pytest.mark.parametrize(("count", "turns"), [(5, 1), (2, 2)])
def test_turn_is_taken_again_only_if_a_stall_missed_all_its_slots(
    rate, stall, django_assert_num_queries, count, turns
):
    rate(10)
    stall(0.45)

    with django_assert_num_queries(turns):
        slots = limiter.wait_for_slots(count)

    assert not slots[-1].is_missed
    assert slots[0].is_missed == (turns == 1)


@pytest.mark.django_db
def test_turn_begins_before_its_first_slot(rate):
    rate(2)
    limiter.reserve(1)

    slot = limiter.wait_for_slots(1)[0]
    ahead_seconds = slot.at - time.monotonic()
    slot.wait()

    assert 0 < ahead_seconds <= limiter.EARLY_SECONDS
    assert slot.at <= time.monotonic()


@pytest.mark.django_db
def test_client_is_made_before_the_first_slot_is_taken(rate):
    made = []

    def look(execute, sql, *rest):
        if sql.startswith("UPDATE emails_sendrate"):
            made.append(ses_api._connection.cache_info().currsize)
        return execute(sql, *rest)

    rate(100)
    ses_api.forget_clients()
    with connection.execute_wrapper(look):
        notifying.notify(placed(), template="order_confirmation", recipient="ada@example.com")

    assert made == [1]


@pytest.mark.django_db
def test_email_whose_slot_was_missed_is_claimed_by_nobody_when_the_consumer_stops(rate):
    rate(100)
    stopping: list[bool] = []

    def claims_slowly(execute, sql, *rest):
        if "INSERT" in sql and "emails_notification" in sql:
            time.sleep(limiter.MAX_LATE_US / 1_000_000 + 0.05)
            stopping.append(True)
        return execute(sql, *rest)

    retry_in_place.begin(lambda: bool(stopping))
    with connection.execute_wrapper(claims_slowly), pytest.raises(GiveBack):
        notifying.notify(placed(), template="order_confirmation", recipient="ada@example.com")
    retry_in_place.begin(lambda: False)

    assert stopping
    assert only().state == "pending"
    assert [attempt.outcome for attempt in only().attempt_rows.all()] == ["held"]


def seconds_until(moment):
    return (moment - timezone.now()).total_seconds()


@pytest.mark.django_db
def test_account_whose_rate_nobody_knows_sends_one_email_a_second(aws, settings, refuses_quota):
    settings.SES_MAX_SEND_RATE = 0
    refuses_quota(True)

    assert limiter.refresh()

    assert SendRate.objects.get().max_send_rate == 1.0
    assert limiter.rate() == pytest.approx(0.98, rel=0.001)


@pytest.mark.django_db
def test_ses_is_asked_once_a_minute_and_what_it_says_is_kept_when_it_is_silent(
    aws, settings, refuses_quota
):
    settings.SES_MAX_SEND_RATE = 0
    limiter.refresh()
    SendRate.objects.update(max_send_rate=14, sent_last_24_hours=7, max_24_hour_send=9)
    assert 50 < seconds_until(SendRate.objects.get().refresh_at) <= 60

    refuses_quota(True)
    SendRate.objects.update(refresh_at=timezone.now() - timedelta(seconds=1))
    assert limiter.refresh()

    row = SendRate.objects.get()
    assert (row.max_send_rate, row.sent_last_24_hours, row.max_24_hour_send) == (14, 7, 9)
    assert limiter.rate() == pytest.approx(14 * 0.98, rel=0.001)


@pytest.mark.django_db
def test_slow_down_lasts_for_a_minute_and_no_refresh_ends_it_before(rate):
    rate(10)
    limiter.slow_down()
    slowed = SendRate.objects.get()
    assert 50 < seconds_until(slowed.slowed_until) <= 60

    SendRate.objects.update(refresh_at=timezone.now() - timedelta(seconds=1))
    limiter.refresh()
    row = SendRate.objects.get()
    assert (row.step_us, row.slowed_until) == (slowed.step_us, slowed.slowed_until)

    past = timezone.now() - timedelta(seconds=1)
    SendRate.objects.update(refresh_at=past, slowed_until=past)
    limiter.refresh()
    assert SendRate.objects.get().slowed_until is None


@pytest.mark.django_db
@pytest.mark.parametrize(("per_second", "slots"), [(0.5, 1), (14, 13), (100, 98)])
def test_one_call_may_take_the_slots_of_a_second(rate, per_second, slots):
    assert limiter.slots_a_second() == 1

    rate(per_second)

    assert limiter.slots_a_second() == slots


@pytest.mark.django_db
def test_caller_waits_until_a_fifth_of_a_second_before_its_slot(rate):
    rate(1)
    limiter.reserve(1)

    slot = limiter.wait_for_slots(1)[0]

    assert slot.at - time.monotonic() <= 0.2
