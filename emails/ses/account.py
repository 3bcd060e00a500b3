"""Ask SES about the whole account: its standing, quota, statistics and configuration set.

Sources: SES API reference, version 2: GetAccount, GetConfigurationSetEventDestinations; version 1: GetSendQuota,
GetSendStatistics (a point for every 15 minutes of two weeks; version 2 has nothing like it), DescribeConfigurationSet.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from emails.errors import NoSuchIdentity
from emails.ses import fields, ses_api
from emails.ses.questions import reading

Json = dict[str, Any]


@reading("GetAccount")
def standing() -> Json:
    """Return ``production``, ``enabled`` and ``enforcement`` (HEALTHY, PROBATION or SHUTDOWN).

    Raises IdentityError.
    """
    found: Any = ses_api.api_v2().get_account()
    return {
        "production": fields.flag(found, "ProductionAccessEnabled"),
        "enabled": fields.flag(found, "SendingEnabled"),
        "enforcement": fields.text(found, "EnforcementStatus", ""),
    }


def quota() -> Json:
    """Return the quota: ``rate`` in recipients a second; ``most``, ``used`` and ``left`` in 24 hours.

    ``most`` is -1 if there is no limit. Raises IdentityError.
    """
    if settings.USE_SES_V2:
        with reading("GetAccount"):
            return _quota(ses_api.api_v2().get_account()["SendQuota"])
    with reading("GetSendQuota"):
        return _quota(ses_api.api().get_send_quota())


def _quota(found: Any) -> Json:
    rate = fields.number(found, "MaxSendRate")
    most, used = (fields.number(found, name) for name in ("Max24HourSend", "SentLast24Hours"))
    return {"rate": rate, "most": most, "used": used, "left": max(0, most - used)}


@reading("GetSendStatistics")
def statistics() -> list[list[Any]]:
    """Return SES's points, oldest first: ISO time, attempts, bounces, complaints, rejects. Raises IdentityError."""
    found: Any = ses_api.api().get_send_statistics()
    return sorted(
        [
            point["Timestamp"].isoformat(),
            int(point.get("DeliveryAttempts", 0)),
            int(point.get("Bounces", 0)),
            int(point.get("Complaints", 0)),
            int(point.get("Rejects", 0)),
        ]
        for point in fields.items(found, "SendDataPoints")
    )


def configuration_set() -> Json:
    """Return ``exists`` and ``destinations``, each with ``name``, ``enabled``, ``types`` and ``topic``.

    Raises IdentityError.
    """
    try:
        return {"exists": True, "destinations": _destinations(settings.SES_CONFIGURATION_SET)}
    except NoSuchIdentity:
        return {"exists": False, "destinations": []}


def _destinations(name: str) -> list[Json]:
    found: Any
    if settings.USE_SES_V2:
        with reading("GetConfigurationSetEventDestinations"):
            api: Any = ses_api.api_v2()
            found = api.get_configuration_set_event_destinations(ConfigurationSetName=name)
            return [_destination(it) for it in fields.items(found, "EventDestinations")]
    with reading("DescribeConfigurationSet"):
        found = ses_api.api().describe_configuration_set(
            ConfigurationSetName=name, ConfigurationSetAttributeNames=["eventDestinations"]
        )
        return [_destination(it) for it in fields.items(found, "EventDestinations")]


def _destination(found: Json) -> Json:
    return {
        "name": fields.text(found, "Name"),
        "enabled": bool(found.get("Enabled")),
        "types": [_words(kind) for kind in fields.items(found, "MatchingEventTypes")],
        "topic": _topic(found),
    }


def _topic(destination: Json) -> str:
    sns = destination.get("SnsDestination") or destination.get("SNSDestination") or {}
    arn: str = sns.get("TopicArn") or sns.get("TopicARN") or ""
    return arn.rpartition(":")[2]


def _words(kind: str) -> str:
    """Return ``delivery delay`` for ``DELIVERY_DELAY`` and for ``deliveryDelay``."""
    if kind.isupper():
        return kind.replace("_", " ").lower()
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind)
