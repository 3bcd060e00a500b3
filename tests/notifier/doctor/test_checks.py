import pytest
from botocore.config import Config
from django.core.checks import run_checks

from queues.checks import TAG


def found():
    return [message.id for message in run_checks(tags=[TAG])]


def test_settings_of_the_tests_are_in_order():
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("QUEUES", {"orders": "q", "transactions": "https://sqs/1/q"}, "queues.E001"),
        ("QUEUE_MAX_RECEIVE_COUNT", 0, "queues.E002"),
        ("SQS_CLIENT", "curl", "queues.E004"),
        ("LAMBDA_QUEUES", ["oders"], "queues.E008"),
        ("AWS_SES_CONFIG", Config(connect_timeout=3, read_timeout=10), "emails.E001"),
        ("LEASE_SECONDS", 13, "emails.E006"),
        ("DOUBT_DRAIN_SECONDS", 100, "emails.E003"),
        ("IN_DOUBT", "ignore", "emails.E004"),
        ("SES_TRACKING", ["open"], "emails.E014"),
        ("SES_FROM_EMAIL", "", "emails.E005"),
        ("SES_CLIENT", "curl", "emails.E007"),
        ("SUPPRESS_ON", ["bounce", "sneeze"], "emails.E020"),
        ("SUPPRESSION_SYNC", "push", "emails.E021"),
        ("SUPPORT_EMAIL", "Help <help@example.com>", "emails.E022"),
        ("GUARD_BOUNCE_STOP", 4.0, "emails.E023"),
        ("GUARD_COMPLAINT_WARNING", 0.0, "emails.E023"),
        ("GUARD_HOURS", 200, "emails.E024"),
    ],
)
def test_settings_that_break_a_promise_are_named(settings, name, value, error):
    setattr(settings, name, value)

    assert found() == [error]


def test_claim_that_outlives_its_message_is_refused_in_production(settings):
    settings.DEBUG = False
    settings.QUEUE_VISIBILITY_SECONDS = 30

    assert "emails.E002" in found()
