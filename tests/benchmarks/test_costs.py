"""The prices and counts of ``make bench-costs``."""

import pytest

from benchmarks.profile import costs

ONE_BY_ONE = {
    "sqs SendMessageBatch notifier-orders": 1.0,
    "sqs ReceiveMessage notifier-orders": 1.0,
    "sqs DeleteMessageBatch notifier-transactions.fifo": 1.0,
    "ses SendEmail": 1.0,
    "ses GetSendQuota": 5.0,
    "sns Publish by SES": 2.0,
}


def test_million_emails_cost_what_aws_lists():
    sqs, fifo, sns, ses = 2 * 0.40, 0.50, 2 * 0.50, 100.0

    assert costs.dollars(ONE_BY_ONE) * 1e6 == pytest.approx(sqs + fifo + sns + ses)


def test_table_has_a_line_for_each_call_and_the_totals():
    lines = costs.costs_table(
        {"backlog": {"ses SendEmail": 1.0}, "one by one": ONE_BY_ONE}
    ).splitlines()

    assert lines[0] == "| calls per email | backlog | one by one |"
    assert "| sqs ReceiveMessage notifier-orders | – | 1.00 |" in lines
    assert lines[-3] == "| **dollars per 1,000 emails** | 0.1000 | 0.1023 |"
    assert lines[-1] == "| of them without SES's price | 0.00 | 2.30 |"


def test_only_calls_that_grow_with_the_emails_are_theirs():
    before = {"accepted": 2, "events": 4, "calls": {"ses SendEmail": 2}}
    after = {
        "accepted": 4,
        "events": 8,
        "calls": {
            "ses SendEmail": 4,
            "ses GetSendQuota": 1,
            "sqs SendMessageBatch notifier-orders": 1,
            "sqs ReceiveMessage notifier-orders": 3,
            "sqs ReceiveMessage notifier-transactions.fifo": 9,
            "sqs GetQueueAttributes notifier-orders": 7,
        },
    }

    assert costs.per_email(before, after, 2) == {
        "ses SendEmail": 1.0,
        "sqs SendMessageBatch notifier-orders": 0.5,
        "sqs ReceiveMessage notifier-orders": 1.5,
        "sns Publish by SES": 2.0,
    }


def test_email_that_came_twice_has_no_price():
    before = {"accepted": 0, "events": 0, "calls": {}}

    with pytest.raises(RuntimeError, match="3 emails of 2"):
        costs.per_email(before, before | {"accepted": 3}, 2)


def test_idle_consumer_is_priced_by_the_month():
    idle = costs.Idle(
        {"sqs ReceiveMessage notifier-orders": 10.0}, [0.03, 0.05, 0.04], memory_mb=100.4
    )

    lines = costs.idle_table(idle).splitlines()

    assert "| receives a minute | 10 |" in lines
    assert "| dollars a month | 0.17 |" in lines
    assert "| order posted → accepted by SES, p50 of 3 | 40 ms |" in lines
    assert lines[-1] == "| memory | 100 MB |"
