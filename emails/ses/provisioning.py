"""Make or correct the way on which SES reports: configuration set → SNS topic → events queue."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.exceptions import ClientError
from django.conf import settings

from emails.ses import error_codes, ses_api
from queues.aws import names, sqs, subscriptions
from queues.aws.clients import FAILURES, UNREADABLE, described, translated
from queues.aws.failures.error_codes import is_lacking
from queues.aws.failures.meanings import Meaning
from queues.aws.policies import grant, may_publish, statements, topics_may_send
from queues.aws.provisioning import Say
from queues.aws.sns import Topic
from queues.errors import QueueUnavailable
from queues.registry import provisioners

DESTINATION = "notifier-events"
# The statement of a topic's policy that is ours, and the one with which SNS makes a topic: the whole account publishes.
_SID = "SesPublishes"
_MADE_BY_SNS = "__default_statement_ID"
EVENT_TYPES = ["SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "DELIVERY_DELAY"]
# SES counts opens with a picture, and clicks with links of its own. Both watch a person, so we ask for them only if
# ``SES_TRACKING`` says so.
TRACKING = {"opens": "OPEN", "clicks": "CLICK"}
# API version 1 has no event for delays.
NOT_IN_VERSION_1 = {"DELIVERY_DELAY"}


@provisioners
def provision(say: Say) -> None:
    """Make or correct the event destination, and say each step; raises QueueUnavailable.

    The error names the step that failed, with AWS's own words.
    """
    if not settings.SES_CONFIGURATION_SET:
        say("no SES_CONFIGURATION_SET: SES will not report what happens to the emails")
        return
    try:
        _provision_way_back(say)
    except QueueUnavailable as exc:
        if not is_lacking(exc.code):
            raise
        say(
            f"not available at this endpoint ({exc}): SES will not report what happens to the emails"
        )


def confirm_subscription(topic: str, token: str) -> None:
    """Confirm a subscription to one of our topics with the token that SNS sent; raises QueueUnavailable."""
    with translated("ConfirmSubscription", kind="subscription"):
        _sns(names.read(topic).region).confirm_subscription(TopicArn=topic, Token=token)


def _provision_way_back(say: Say) -> None:
    with translated("events from SES", kind="configuration set or topic"):
        _provision_configuration_set(say)
        if settings.SES_EVENTS_TOPIC:
            topic = _provision_topic(say)
            _provision_destination(topic, say)


def _sns(region: str) -> Any:
    return boto3.session.Session().client(
        "sns", region_name=region, endpoint_url=settings.AWS_ENDPOINT_URL
    )


def _provision_configuration_set(say: Say) -> None:
    name = settings.SES_CONFIGURATION_SET
    made = _made(lambda: ses_api.api().create_configuration_set(ConfigurationSet={"Name": name}))
    say(f"made configuration set {name}" if made else f"configuration set {name} is there")


def _provision_topic(say: Say) -> str:
    sns = _sns(settings.AWS_REGION)
    topic: str = sns.create_topic(Name=settings.SES_EVENTS_TOPIC)["TopicArn"]
    queue = sqs.queue("ses-events")
    grant(queue, topics_may_send("SesEventsTopic", topic), say)
    _provision_attributes(sns, topic, say)
    # No filter: SES's events have no attributes to filter by.
    subscriptions.subscribe(Topic("ses-events", topic), queue, {}, say)
    return topic


def _provision_destination(topic: str, say: Say) -> None:
    """Use API version 2, the only one that knows delays; use version 1 if the endpoint has no version 2."""
    try:
        _provision_by_version_2(topic, say)
    except FAILURES as exc:
        code, _ = described(exc)
        if not is_lacking(code) and code != UNREADABLE:
            raise
        _provision_by_version_1(topic, say)


def _wanted() -> list[str]:
    tracked = [kind for name, kind in TRACKING.items() if name in settings.SES_TRACKING]
    return EVENT_TYPES + tracked


def _provision_by_version_2(topic: str, say: Say) -> None:
    api, name = ses_api.api_v2(), settings.SES_CONFIGURATION_SET
    there = _destinations_by_version_2(name).get(DESTINATION)
    if there and _is_right(there, topic):
        say(f"event destination {DESTINATION} is as it should be")
        return
    change: Any = (
        api.update_configuration_set_event_destination
        if there
        else api.create_configuration_set_event_destination
    )
    destination = {
        "Enabled": True,
        "MatchingEventTypes": _wanted(),
        "SnsDestination": {"TopicArn": topic},
    }
    change(
        ConfigurationSetName=name, EventDestinationName=DESTINATION, EventDestination=destination
    )
    say(f"{'fixed' if there else 'made'} event destination {DESTINATION}")


def _destinations_by_version_2(name: str) -> dict[str, Any]:
    """Return the event destinations by their names; makes the configuration set if version 2 does not know it.

    Some emulators keep the sets of the two API versions apart: there the set must be made through both.
    """
    api = ses_api.api_v2()
    try:
        found = api.get_configuration_set_event_destinations(ConfigurationSetName=name)
    except ClientError as exc:
        if error_codes.meaning(described(exc)[0]) is not Meaning.MISSING:
            raise
        _made(lambda: api.create_configuration_set(ConfigurationSetName=name))
        return {}
    return {each["Name"]: each for each in found.get("EventDestinations", [])}


def _is_right(there: Any, topic: str) -> bool:
    return (
        there.get("Enabled") is True
        and set(there.get("MatchingEventTypes", ())) == set(_wanted())
        and there.get("SnsDestination", {}).get("TopicArn") == topic
    )


def _provision_by_version_1(topic: str, say: Say) -> None:
    kinds = [kind.lower() for kind in _wanted() if kind not in NOT_IN_VERSION_1]
    destination: Any = {
        "Name": DESTINATION,
        "Enabled": True,
        "MatchingEventTypes": kinds,
        "SNSDestination": {"TopicARN": topic},
    }
    made = _made(
        lambda: ses_api.api().create_configuration_set_event_destination(
            ConfigurationSetName=settings.SES_CONFIGURATION_SET, EventDestination=destination
        )
    )
    say(
        f"made event destination {DESTINATION}"
        if made
        else f"event destination {DESTINATION} is there"
    )


def _made(create: Any) -> bool:
    try:
        create()
    except ClientError as exc:
        if error_codes.meaning(described(exc)[0]) is Meaning.EXISTS:
            return False
        raise
    return True


def _provision_attributes(sns: Any, topic: str, say: Say) -> None:
    """Let only our configuration set publish to the topic, and let SNS sign its messages with SHA-256.

    Statements of others stay, unless they let somebody else publish: whoever may publish can make up bounces.
    """
    found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    before = json.loads(found["Policy"])
    theirs = [one for one in statements(before) if one.get("Sid") != _SID]
    gone = [one for one in theirs if one.get("Effect") == "Allow" and may_publish(one)]
    wanted = [*(one for one in theirs if one not in gone), _ses_publishes(topic)]
    # An endpoint that does not tell the version has only one.
    if statements(before) == wanted and found.get("SignatureVersion", "2") == "2":
        return
    policy = {"Version": "2012-10-17"} | before | {"Statement": wanted}
    for name, value in {"SignatureVersion": "2", "Policy": json.dumps(policy)}.items():
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    say(f"fixed topic {settings.SES_EVENTS_TOPIC}: Policy, SignatureVersion")
    for one in gone:
        if one.get("Sid") != _MADE_BY_SNS:
            say(f"took a statement from its policy that let others publish: {json.dumps(one)}")


def _ses_publishes(topic: str) -> dict[str, Any]:
    _, partition, _, region, account, _ = topic.split(":")
    name = settings.SES_CONFIGURATION_SET
    source = f"arn:{partition}:ses:{region}:{account}:configuration-set/{name}"
    return {
        "Sid": _SID,
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": source}},
    }
