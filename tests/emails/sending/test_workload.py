import pytest

from emails.models import SendRate
from emails.sending import limiter, notifying, workload
from emails.sending.workload import MovingAverage
from queues.errors import Reject
from tests.support.owed import placed


@pytest.fixture
def answers():
    """The times that SES's answers have taken: nothing is known at first."""
    workload.accepted_seconds.value = None
    return workload.accepted_seconds


@pytest.fixture
def rate(aws, settings):
    settings.SES_MAX_SEND_RATE = 200
    limiter.refresh()


@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [(14, 0.06, 6), (50, 0.0, 13), (100, 0.06, 37), (100, 1.0, 225)],
)
def test_twice_the_calls_under_way_and_a_quarter_second_ahead_are_needed(rate, seconds, expected):
    assert workload.at_once(rate=rate, seconds=seconds) == expected


@pytest.mark.django_db
def test_nothing_is_known_before_the_rate_is(aws, answers):
    answers.add(0.06)

    assert workload.needed("orders") is None


@pytest.mark.django_db
def test_need_follows_the_rate_of_now(rate, answers):
    # As if SES took 0.1 s.
    assert workload.needed("orders") == 89

    answers.add(0.08)
    before = workload.needed("orders")
    SendRate.objects.update(step_us=20_000)
    limiter.forget()

    assert before == 81
    assert workload.needed("orders") == 21
    assert workload.needed("ses-events") is None


def test_average_follows_a_change_and_not_one_value():
    average = MovingAverage()
    average.add(0.06)

    average.add(1.0)
    after_one = average.value or 0
    for _ in range(200):
        average.add(0.2)

    assert after_one < 0.08
    assert average.value == pytest.approx(0.2, rel=0.05)


def test_average_of_calls_that_a_busy_machine_delays_stays_near_what_the_others_take():
    average = MovingAverage()

    for _ in range(100):
        for seconds in (0.06, 0.2, 0.06, 0.5):
            average.add(seconds)

    assert 0.06 <= (average.value or 0) < 0.12


@pytest.mark.django_db
def test_only_an_accepted_email_tells_how_long_ses_takes(aws, answers, refuses):
    refuses("MessageRejected", "Email address is on a list.", times=1)

    with pytest.raises(Reject):
        notifying.notify(placed(), template="order_confirmation", recipient="ada@example.com")
    after_refusal = answers.value
    notifying.notify(placed(), template="order_confirmation", recipient="ada@example.com")

    assert after_refusal is None
    assert answers.value is not None
