"""Whatever is answered in the place of SES, SNS or SQS: an error of ours, which pages and the doctor show in words."""

from collections.abc import Callable

import pytest
from botocore.config import Config

from emails.errors import IdentityError, ListUnavailable, SendError
from emails.identities import identities
from emails.ses import account, destinations, ses_api, suppression_list
from queues.aws import account as caller
from queues.aws import clients, sns, sqs
from queues.doctor import findings
from queues.doctor.findings import Verdict
from queues.errors import QueueUnavailable
from tests.support.aws.scripted_server import ScriptedServer, cut, said

TOPIC = "arn:aws:sns:eu-west-1:123456789012:notifier-events"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/notifier-orders"
OURS = (IdentityError, ListUnavailable, QueueUnavailable, SendError)
QUESTIONS: dict[str, Callable[[], object]] = {
    "standing": account.standing,
    "quota": account.quota,
    "statistics": account.statistics,
    "configuration set": account.configuration_set,
    "identities": identities.page,
    "identity": lambda: identities.get("example.com"),
    "statuses": lambda: identities.statuses(["example.com"]),
    "sandbox": identities.is_sandbox,
    "verified": identities.verified,
    "send quota": ses_api.quota,
    "paused": ses_api.require_sending_enabled,
    "configuration": ses_api.require_configuration,
    "suppressed": suppression_list.page,
    "one suppressed": lambda: suppression_list.get("ada@example.com"),
    "destinations": destinations.destinations,
    "subscriptions": lambda: destinations.subscriptions(TOPIC),
    "subscription": lambda: destinations.subscription_attributes(f"{TOPIC}:1"),
    "topic policy": lambda: destinations.topic_policy(TOPIC),
    "topic": lambda: sns.Topic("orders", TOPIC).attributes(),
    "queue of a topic": lambda: sns.Topic("orders", TOPIC).subscription("arn"),
    "depth": lambda: sqs.Queue("orders", QUEUE).depth(),
    "queue": lambda: sqs.Queue("orders", QUEUE).attributes(),
    "caller": caller.caller,
}
ANSWERS = {
    "nothing": said(200, b""),
    "html": said(200, b"<html>Sign in to the network</html>"),
    "no fields": said(200, {}),
    "xml without fields": said(200, b"<Response><Result/></Response>"),
    "a list": said(200, []),
    "null": said(200, None),
    "other fields": said(200, {"x": 1}),
    "fields of other kinds": said(
        200,
        {
            "Attributes": {"ApproximateNumberOfMessages": "many", "DelaySeconds": None},
            "EmailIdentities": [1],
            "EventDestinations": [{"Name": 1}],
            "MailFromAttributes": 1,
            "ProductionAccessEnabled": "yes",
            "SendQuota": {"MaxSendRate": "fast"},
            "SendingEnabled": "yes",
            "SuppressedDestination": [],
            "SuppressedDestinationSummaries": [{}],
        },
    ),
    "texts for lists": said(
        200, {"EmailIdentities": "x", "EventDestinations": "x", "Attributes": "x"}
    ),
    "not there": said(501, {"__type": "InternalFailure", "message": "not yet implemented"}),
    "an error that is none": said(400, []),
    "a broken answer": cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
}


@pytest.fixture(scope="module")
def server():
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture(params=[False, True], ids=["v1", "v2"])
def asked(request, settings, server, monkeypatch):
    """Let all clients ask the scripted server."""
    monkeypatch.setattr(
        destinations, "Config", lambda **options: Config(retries={"total_max_attempts": 1})
    )
    settings.AWS_ENDPOINT_URL, settings.USE_SES_V2 = server.url, request.param
    settings.SES_CONFIGURATION_SET = "notifier"
    clients.forget_clients()
    ses_api.forget_clients()
    yield server
    clients.forget_clients()
    ses_api.forget_clients()


@pytest.mark.django_db
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_odd_answer_to_any_question_is_an_error_of_ours(asked, answer):
    asked.answer = answer
    strange = {}

    for name, ask in QUESTIONS.items():
        try:
            ask()
        except OURS:
            continue
        except Exception as exc:
            strange[name] = repr(exc)

    assert strange == {}


@pytest.mark.parametrize("attributes", [{}, {"ApproximateNumberOfMessages": "0"}])
def test_queue_of_which_sqs_tells_nothing_is_not_empty(asked, attributes):
    """An empty events queue is part of the proof that SES did not accept an email."""
    asked.answer = said(200, {"Attributes": attributes})

    with pytest.raises(QueueUnavailable):
        sqs.Queue("orders", QUEUE).depth()


def test_doctor_says_that_an_answer_cannot_be_read(monkeypatch):
    def look():
        raise KeyError("Attributes")

    found = list(findings._looked(findings.Check("SES", look, asks_aws=True)))

    assert [each.verdict for each in found] == [Verdict.ERROR]
    assert "AWS_ENDPOINT_URL" in found[0].fix
