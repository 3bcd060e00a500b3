"""The doctor's findings in an installation that is in order and in one that is not."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from emails.doctor import checks as ses_checks
from emails.models import Breaker
from emails.ses import ses_api
from queues.aws import sns, sqs
from queues.consumer import pausing
from queues.doctor import findings, queue_attributes
from queues.doctor.findings import Finding, Verdict
from queues.models import DeadLetter
from tests.support.aws.scripted_server import ScriptedServer, cut, said
from tests.support.living import make_consumer, make_silent

pytestmark = pytest.mark.django_db

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
EVENTS = sns.Topic("ses-events", "notifier-ses-events")
OPEN = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}


@pytest.fixture
def order(aws, account, settings, tmp_path):
    """An installation in which nothing is amiss."""
    settings.DEBUG = True
    settings.JOURNAL_DIR = str(tmp_path)
    for queue in sqs.queues():
        for each in (queue, sqs.dead_letter_queue(queue.alias)):
            policy = json.loads(each.attributes().get("Policy", '{"Statement": []}'))
            policy["Statement"].append(TLS_ONLY)
            each.set_attributes({"Policy": json.dumps(policy)})
    make_consumer()

    def enabled(**kwargs: Any) -> Any:
        """Instead of GetAccountSendingEnabled, which moto has not got."""
        return SimpleNamespace(status_code=200), {"Enabled": True}

    events = ses_api.api().meta.events
    events.register("before-call.ses.GetAccountSendingEnabled", enabled)
    yield aws
    events.unregister("before-call.ses.GetAccountSendingEnabled", enabled)


@pytest.fixture
def denies(request):
    """Let AWS refuse an operation, in its own words."""

    def install(client: Any, operation: str, right: str) -> None:
        event = f"before-call.{client.meta.service_model.service_name}.{operation}"
        text = f"User: arn:aws:iam::1:user/x is not authorized to perform: {right} on resource: y"
        answer = {
            "Error": {"Code": "AccessDenied", "Message": text},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }

        def refuse(**kwargs: Any) -> Any:
            return SimpleNamespace(status_code=403), answer

        client.meta.events.register(event, refuse)
        request.addfinalizer(lambda: client.meta.events.unregister(event, refuse))

    return install


def change(attributes: dict[str, str]) -> None:
    """Change the queue of orders; moto forgets a policy that is not set again."""
    queue = sqs.queue("orders")
    queue.set_attributes({"Policy": queue.attributes()["Policy"]} | attributes)


def found(**options: bool) -> list[Finding]:
    return list(findings.collect(**options))


def amiss() -> set[str]:
    return {each.key for each in found() if each.verdict in (Verdict.ERROR, Verdict.WARNING)}


def one(key: str) -> Finding:
    [finding] = [each for each in found() if each.key == key]
    return finding


def told(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code of the command, and what it printed."""
    try:
        call_command("doctor", *arguments)
    except SystemExit as exc:
        return int(exc.code or 0), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_nothing_is_amiss_where_everything_is_in_order(order):
    assert amiss() == set()


def test_whatever_is_amiss_says_why_it_matters_and_what_mends_it(settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    for finding in found():
        if finding.verdict in (Verdict.ERROR, Verdict.WARNING):
            assert finding.why, finding
            assert finding.fix, finding


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ({"RedrivePolicy": ""}, "queue.no_redrive_policy"),
        ({"MessageRetentionPeriod": "1209600"}, "queue.retention"),
        ({"MaximumMessageSize": "1024"}, "queue.maximum_size"),
        ({"SqsManagedSseEnabled": "false"}, "queue.not_encrypted"),
        ({"Policy": json.dumps({"Statement": [OPEN, TLS_ONLY]})}, "queue.open"),
        ({"Policy": json.dumps({"Statement": []})}, "queue.plain_http"),
    ],
)
def test_queue_that_is_set_wrong_is_named_with_what_mends_it(order, attributes, key):
    change(attributes)

    assert amiss() == {key}
    assert "notifier-orders" in one(key).what


def test_queue_that_gives_up_after_other_receives_is_told(order, settings):
    settings.QUEUE_MAX_RECEIVE_COUNT = 7

    assert amiss() == {"queue.max_receive_count"}


@pytest.mark.parametrize(
    "allow",
    [
        {"redrivePermission": "denyAll"},
        {"redrivePermission": "byQueue", "sourceQueueArns": ["arn:aws:sqs:eu-west-1:1:other"]},
    ],
)
def test_dead_letter_queue_that_does_not_take_from_its_queue_is_told(order, allow):
    queue, dead = sqs.queue("orders"), sqs.dead_letter_queue("orders")
    # moto does not keep it.
    attributes = dead.attributes() | {"RedriveAllowPolicy": json.dumps(allow)}

    looked = queue_attributes.of_queue(queue, queue.attributes(), dead, attributes)

    assert [each.key for each in looked] == ["queue.redrive_not_allowed"]


def test_missing_queue_is_told_with_the_command_that_makes_it(order):
    queue = sqs.queue("orders")
    sqs.client().delete_queue(QueueUrl=queue.url)

    finding = one("queue.missing")

    assert "no queue notifier-orders" in finding.what
    assert finding.fix == "python manage.py provision"


def test_missing_right_is_named_and_ends_nothing(order, denies):
    denies(sqs.client(hurried=True), "GetQueueAttributes", "sqs:getqueueattributes")
    denies(ses_api.api(), "GetSendQuota", "ses:GetSendQuota")
    denies(ses_api.api(), "DescribeConfigurationSet", "ses:DescribeConfigurationSet")

    missing = [each.what for each in found() if each.key == "right.missing"]

    assert "The right sqs:GetQueueAttributes on queue notifier-orders is missing." in missing
    assert "The right ses:GetSendQuota on this account is missing." in missing
    assert any("ses:DescribeConfigurationSet" in what for what in missing)


def test_aws_out_of_reach_is_told_once_and_not_waited_for_again(settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    looked = found()

    assert [each.key for each in looked].count("aws.away") == 1
    assert not any(each.key.startswith("ses.quota") for each in looked)


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (said(200, b"\x00\xff{"), "aws.not_aws"),
        (said(200, b"<html>Sign in to our network</html>"), "aws.not_aws"),
        (said(200, []), "aws.not_aws"),
        (said(403, b"<html>Forbidden</html>"), "aws.not_aws"),
        (cut(), "aws.away"),
    ],
    ids=["bytes", "page", "list", "proxy", "hangs up"],
)
def test_whoever_answers_in_the_place_of_aws_is_told_once_and_asked_no_more(settings, answer, key):
    server = ScriptedServer()
    server.answer = answer
    settings.AWS_ENDPOINT_URL = server.url

    keys = [each.key for each in found()]

    server.stop()
    assert [one for one in keys if one.startswith(("aws.", "ses.", "doctor."))] == [
        key,
        "ses.journal",
    ]


def test_unverified_sender_is_told(order, settings):
    settings.SES_FROM_EMAIL = "other@example.com"

    assert amiss() == {"ses.sender"}


def test_configuration_set_that_ses_has_not_got_is_told(order, settings):
    settings.SES_CONFIGURATION_SET = "gone"

    assert "events.no_set" in amiss()


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("RawMessageDelivery", "false", "events.wrapped"),
        ("FilterPolicy", '{"kind": ["Bounce"]}', "events.filtered"),
    ],
)
def test_subscription_of_ses_events_that_delivers_otherwise_is_told(order, name, value, key):
    arn = EVENTS.subscription(sqs.queue("ses-events").attributes()["QueueArn"])
    assert arn
    EVENTS.set_subscription_attribute(arn, name, value)

    assert amiss() == {key}
    assert one(key).fix == "python manage.py provision"


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"Effect": "Deny"}, {"events.topic_closed"}),
        ({"Action": "sns:Subscribe"}, {"events.topic_closed"}),
        ({"Principal": {"Service": "s3.amazonaws.com"}}, {"events.topic_closed"}),
        ({"Condition": {"StringLike": {"AWS:SourceArn": "*/other"}}}, {"events.topic_closed"}),
        ({"Condition": {"StringLike": {"AWS:SourceArn": "*/notifier"}}}, set()),
        ({"Principal": "*", "Condition": {}}, {"events.topic_open"}),
    ],
)
def test_policy_of_the_topic_is_told_where_ses_is_shut_out_or_anybody_let_in(order, changes, keys):
    policy = json.loads(EVENTS.attributes()["Policy"])
    policy["Statement"] = policy["Statement"][0] | changes
    sns.client().set_topic_attributes(
        TopicArn=EVENTS.arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )

    assert amiss() == keys
    assert all(one(key).fix == "python manage.py provision" for key in keys)


def test_open_breaker_is_told(order):
    Breaker.objects.create(name="quota", is_open=True, code="LimitExceededException")

    assert amiss() == {"ses.breaker"}


def test_queue_that_nobody_reads_is_told_and_so_is_a_silent_consumer(order):
    make_silent(pid=18)
    pausing.pause("orders", by="grace", reason="wrong prices")

    assert amiss() == {"consumers.silent", "queue.paused"}


def test_consumer_that_gets_strange_answers_is_told_with_the_reason(order):
    make_consumer(pid=19, troubles={"orders": "the answer cannot be read"})

    assert amiss() == {"consumers.not_receiving"}
    assert "orders: the answer cannot be read" in one("consumers.not_receiving").what


def test_no_consumer_at_all_is_told_for_each_queue(account):
    keys = [each.key for each in found()]

    assert keys.count("consumers.none") == 3


ELSEWHERE = "amazonaws.com/123456789012/notifier-orders"


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("SES_CONFIGURATION_SET", "", "settings.topic_without_set"),
        ("FAILPOINTS", "after_claim:1", "settings.failpoints"),
        ("SES_FROM_EMAIL", "", "emails.E005"),
        ("ALERTS_TOPIC", "arn:aws:sns:us-east-1:123456789012:x", "region.differs"),
        ("AWS_REGION", "eu-west1", "region.unknown"),
        ("QUEUES", {"orders": f"https://us-east-1.queue.{ELSEWHERE}"}, "region.differs"),
        ("QUEUES", {"orders": f"https://queue.{ELSEWHERE}"}, "region.differs"),
        ("QUEUES", {"orders": f"https://sqs-fips.us-east-1.{ELSEWHERE}"}, "region.differs"),
        (
            "QUEUES",
            {"orders": f"https://vpce-0a1b-abc.sqs.us-east-1.vpce.{ELSEWHERE}"},
            "region.differs",
        ),
        ("TOPICS", {"orders": "arn:aws:sns:us-east-1:123456789012:x"}, "region.differs"),
        ("SES_EVENTS_TOPIC", "arn:aws:sns:us-east-1:123456789012:x", "region.differs"),
        ("ARCHIVE_QUEUE", f"https://sqs.us-east-1.{ELSEWHERE}", "region.differs"),
    ],
)
def test_setting_that_contradicts_another_is_told(settings, name, value, key):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    setattr(settings, name, value)

    assert key in amiss()


def test_settings_of_a_trial_are_told_in_production(settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    assert {
        "settings.endpoint",
        "settings.base_url",
        "settings.nobody_is_called",
    } <= amiss()


def test_missing_migration_is_told(order):
    MigrationRecorder(connection).record_unapplied("queues", "0001_initial")

    assert one("database.migrations").fix == "python manage.py migrate"


def test_database_that_does_not_answer_ends_no_check(order):
    def refuse(execute, sql, params, many, context):
        raise DatabaseError("gone")

    with connection.execute_wrapper(refuse):
        keys = [each.key for each in found()]

    assert "database.away" in keys
    assert "queue.right" in keys


@pytest.fixture
def synced():
    """Let PostgreSQL wait for the disk, as its server for tests else does not (tests/support/postgres.py)."""
    if connection.vendor == "postgresql":
        set_fsync("on")
    yield
    if connection.vendor == "postgresql":
        set_fsync("off")


def set_fsync(value):
    given = connection.get_connection_params()
    where = {name: given[name] for name in ("host", "port", "user", "dbname") if name in given}
    with psycopg.connect(**where, autocommit=True) as own:
        own.execute(f"ALTER SYSTEM SET fsync = {value}")
        own.execute("SELECT pg_reload_conf()")
    # Sessions read the settings anew between two statements.
    while shown("fsync") != value:
        time.sleep(0.05)


def shown(setting):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        return cursor.fetchone()[0]


@pytest.mark.locking
def test_engine_is_told_with_what_it_promises(order, synced):
    assert one("database.engine").verdict == Verdict.GOOD


def test_command_ends_with_zero_where_the_set_up_is_in_order(order, capsys):
    code, said = told(capsys)

    assert code == 0
    assert said.splitlines()[-2] == "The set-up is in order."


def test_command_tells_of_work_that_waits_and_still_ends_with_zero(order, capsys):
    for number in range(2):
        DeadLetter.objects.create(queue="orders", sqs_message_id=f"m-{number}", body="{}", code="C")

    code, said = told(capsys)

    assert code == 0
    assert said.splitlines()[-2] == "The set-up is in order; 2 dead letters wait."


def test_command_ends_with_one_after_warnings_and_with_two_after_errors(order, capsys, settings):
    settings.QUEUE_MAX_RECEIVE_COUNT = 7
    assert told(capsys)[0] == 1

    settings.SES_FROM_EMAIL = "other@example.com"
    code, said = told(capsys)

    assert code == 2
    assert "ERROR   The sender other@example.com is not verified." in said
    assert "do:  Verify the address or its domain: Identities in the admin." in said


def test_json_says_all_of_it(order, capsys):
    change({"SqsManagedSseEnabled": "false"})

    code, said = told(capsys, "--json")

    answer = json.loads(said)
    assert (code, answer["exit_code"], answer["verdict"]) == (1, 1, "warning")
    [finding] = [each for each in answer["findings"] if each["verdict"] == "warning"]
    assert finding == {
        "area": "Queues",
        "key": "queue.not_encrypted",
        "verdict": "warning",
        "what": "notifier-orders is not encrypted at rest.",
        "why": "Messages hold names and addresses of customers.",
        "fix": "python manage.py provision",
    }


def test_one_quota_is_told_and_it_is_that_of_ses(aws, account):
    account.kind = "sandbox"

    found = " ".join(f"{each.what} {each.why}" for each in ses_checks.account())

    assert found.count(" in 24 hours") == 1
    assert "a day" not in found


def test_doctor_and_identities_tell_the_quota_that_ses_tells(order, settings, admin_client):
    # The AWS in this process tells no quota by version 2.
    settings.USE_SES_V2 = False
    told = ses_api.quota()

    found = next(each.what for each in ses_checks.account() if each.key == "ses.quota")
    page = admin_client.get("/admin/emails/identity/").content.decode()

    assert f"of {told.max_24_hours:,.0f} emails" in found
    assert f"SES takes {told.max_rate:g} a second" in found
    assert f"of {told.max_24_hours:,.0f}</b>" in page
    assert f"<b>{told.max_rate:g}</b><small>recipients a second at most" in page


def test_endpoint_without_version_2_of_ses_says_which_setting_helps(order, refuses):
    refuses("UnknownOperationException", "no such operation", status=404)

    [finding] = ses_checks.bounce()

    assert finding.verdict is Verdict.ERROR
    assert "USE_SES_V2=off" in finding.fix
