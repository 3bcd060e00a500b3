"""A core banking application that is not ours posts to the queue: its alerts arrive, its mistakes are told in words."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import boto3
import pytest

from examples import core_banking_app
from orders import foreign
from queues.answers import Bucket, Cause
from queues.dead_letters import advice, collecting
from queues.events.envelope import Event
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.redrives import preflight
from tests.support.builders import make_account, make_transaction

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def known():
    return make_account(number="US100200304821", holder_email=ADA)


@pytest.fixture
def post(aws, known, settings, monkeypatch):
    """Run the application; ``change`` makes its event wrong."""
    aws.verify(ADA)
    monkeypatch.setenv("AWS_REGION", settings.AWS_REGION)

    def run(*arguments, **options):
        options = {
            "account": known.number,
            "holder": "Ada Lovelace",
            "email": ADA,
            "balance": "2650.00",
        } | options
        named = [part for name, value in options.items() for part in (f"--{name}", value)]
        return core_banking_app.main([*(arguments or ("deposit", "150.00")), *named])

    return run


def _bury(consume):
    """Consume until SQS has moved what fails and the collector has it."""
    for _ in range(4):
        consume("transactions")
    collecting.collect("transactions")
    return DeadLetter.objects.get()


def test_application_needs_boto3_and_nothing_of_ours():
    tree = ast.parse(Path(core_banking_app.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - set(sys.stdlib_module_names) == {"boto3", "botocore"}


def test_its_transaction_becomes_an_alert(post, consume, aws, capsys):
    assert post() == 0

    consume("transactions")

    [mail] = aws.accepted
    assert set(mail.destinations) == {ADA}
    assert "Subject: Transaction Alert" in mail.raw_data
    assert "$150.00" in mail.raw_data
    assert "posted CORE-" in capsys.readouterr().out
    assert not OutboxEvent.objects.exists()


def test_its_event_sent_again_sends_no_second_email(post, consume, aws):
    event_id = "0a0b0c0d-0000-4000-8000-000000000001"
    post("deposit", "150.00", "--event-id", event_id)
    consume("transactions")
    sqs = boto3.client("sqs", region_name="eu-west-1")
    url = sqs.get_queue_url(QueueName=core_banking_app.QUEUE)["QueueUrl"]
    # Later than SQS remembers a deduplication id.
    sqs.purge_queue(QueueUrl=url)

    post("deposit", "150.00", "--event-id", event_id)
    consume("transactions")

    assert len(aws.accepted) == 1


def test_its_transactions_of_one_account_arrive_in_order(post, consume, aws):
    for amount in ("1.00", "2.00", "3.00"):
        post("deposit", amount)

    while consume("transactions"):
        pass

    found = [
        [amount for amount in ("$1.00", "$2.00", "$3.00") if amount in mail.raw_data]
        for mail in aws.accepted
    ]
    assert found == [["$1.00"], ["$2.00"], ["$3.00"]]


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (("deposit", "0"), {}, "amount_cents: Input should be greater than 0"),
        (("deposit", "1"), {"currency": "XXX"}, "currency: Input should be"),
        (("deposit", "1"), {"balance": "-1"}, "balance_cents: Input should be greater"),
        (("deposit", "1"), {"holder": ""}, "account.holder_name: String should have at least"),
        (("deposit", "1"), {"email": "nobody"}, "account.holder_email: Value error, Enter a valid"),
        (("deposit", "1"), {"email": "a@b.example,c@d.example"}, "account.holder_email"),
        (("deposit", "1"), {"description": "a\r\nBcc: x@y.example"}, "description: Value error"),
    ],
)
def test_wrong_data_becomes_a_dead_letter_that_names_the_field(
    post, consume, aws, arguments, options, reason
):
    post(*arguments, **options)

    letter = _bury(consume)

    assert letter.code == "BadData"
    assert reason in letter.reason
    assert aws.accepted == []


@pytest.mark.parametrize(
    "options", [{"account": "US100200309999"}, {"email": "eve@example.com"}, {"account": "••"}]
)
def test_account_that_is_not_known_becomes_a_dead_letter_that_says_so(post, consume, aws, options):
    aws.verify("eve@example.com")
    post(**options)

    letter = _bury(consume)

    assert letter.code == "UnknownAccount"
    assert "/core-banking names an account that is not known here" in letter.reason
    assert "@" not in letter.reason
    assert aws.accepted == []


def test_account_entered_meanwhile_lets_the_message_through(post, consume, aws):
    post(account="US100200309999")
    consume("transactions")
    make_account(number="US100200309999", holder_email=ADA.upper())

    consume("transactions")

    assert len(aws.accepted) == 1
    assert HandlingFailure.objects.get().code == "UnknownAccount"


def test_accounts_kept_elsewhere_are_taken_where_settings_say_so(post, consume, aws, settings):
    settings.FOREIGN_ACCOUNTS = "any"
    post(account="US100200309999")

    consume("transactions")

    assert len(aws.accepted) == 1


def test_our_own_transactions_are_not_looked_up(known, django_assert_max_num_queries):
    posted = make_transaction(account=known)
    event = Event.from_json(OutboxEvent.objects.get(subject=posted.reference).body)

    with django_assert_max_num_queries(0):
        foreign.refuse_unknown_account(event)


def test_redrive_of_an_unknown_account_is_foreseen_to_fail(post, consume, account):
    post(account="US100200309999")
    event = Event.from_json(_bury(consume).body)

    before = preflight.of(event)
    make_account(number="US100200309999", holder_email=ADA)

    assert (before, preflight.of(event)) == (Bucket.FAILS, Bucket.SENDS)


def test_staff_are_told_what_mends_an_unknown_account():
    told = advice.advise(Cause("UnknownAccount", ""))

    assert "FOREIGN_ACCOUNTS=any" in told.todo


def test_application_says_why_sqs_did_not_take_it(post, capsys):
    assert post("deposit", "1", "--queue", "nobody-s.fifo") == 1

    assert "not posted:" in capsys.readouterr().err


@pytest.mark.parametrize("amount", ["1.001", "NaN", "ten"])
def test_application_refuses_an_amount_that_is_none(post, amount):
    with pytest.raises(SystemExit):
        post("deposit", amount)


def test_event_fits_the_published_schema():
    import jsonschema

    options = core_banking_app._parser().parse_args(
        ["deposit", "1", "--account=4821", "--holder=Ada", f"--email={ADA}", "--balance=1"]
    )
    folder = Path(core_banking_app.__file__).parents[1] / "docs" / "events"
    schema = json.loads((folder / "transaction.posted.v1.schema.json").read_text())

    jsonschema.validate(core_banking_app.transaction_posted(options), schema)
