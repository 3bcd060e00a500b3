"""Ask SES about the whole account: its standing, quota, statistics and configuration set.

Sources: SES API reference, version 2: GetAccount, GetConfigurationSetEventDestinations; version 1: GetSendQuota,
GetSendStatistics (a point for every 15 minutes of two weeks; version 2 has nothing like it), DescribeConfigurationSet.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from emails.errors import NoSuchIdentity
from emails.ses import ses_api
from emails.ses.questions import ask

Json = dict[str, Any]


def standing() -> Json:
    """Return ``production``, ``enabled`` and ``enforcement`` (HEALTHY, PROBATION or SHUTDOWN).

    Raises IdentityError.
    """
    found = ask("GetAccount", ses_api.api_v2().get_account)
    return {
        "production": bool(found.get("ProductionAccessEnabled")),
        "enabled": bool(found.get("SendingEnabled")),
        "enforcement": found.get("EnforcementStatus", ""),
    }


def quota() -> Json:
    """Return the quota: ``rate`` in recipients a second; ``most``, ``used`` and ``left`` in 24 hours.

    ``most`` is -1 if there is no limit. Raises IdentityError.
    """
    found: Any
    if settings.USE_SES_V2:
        found = ask("GetAccount", ses_api.api_v2().get_account).get("SendQuota", {})
    else:
        found = ask("GetSendQuota", ses_api.api().get_send_quota)
    most, used = found.get("Max24HourSend", 0), found.get("SentLast24Hours", 0)
    rate = found.get("MaxSendRate", 0)
    return {"rate": rate, "most": most, "used": used, "left": max(0, most - used)}


def statistics() -> list[list[Any]]:
    """Return SES's points, oldest first: ISO time, attempts, bounces, complaints, rejects. Raises IdentityError."""
    found = ask("GetSendStatistics", ses_api.api().get_send_statistics)["SendDataPoints"]
    return sorted(
        [
            point["Timestamp"].isoformat(),
            int(point.get("DeliveryAttempts", 0)),
            int(point.get("Bounces", 0)),
            int(point.get("Complaints", 0)),
            int(point.get("Rejects", 0)),
        ]
        for point in found
    )


def configuration_set() -> Json:
    """Return ``exists`` and ``destinations``, each with ``name``, ``enabled``, ``types`` and ``topic``.

    Raises IdentityError.
    """
    try:
        found = _destinations(settings.SES_CONFIGURATION_SET)
    except NoSuchIdentity:
        return {"exists": False, "destinations": []}
    return {
        "exists": True,
        "destinations": [
            {
                "name": it["Name"],
                "enabled": bool(it.get("Enabled")),
                "types": [_words(kind) for kind in it.get("MatchingEventTypes", [])],
                "topic": _topic(it),
            }
            for it in found
        ],
    }


def _destinations(name: str) -> list[Any]:
    found: Any
    if settings.USE_SES_V2:
        found = ask(
            "GetConfigurationSetEventDestinations",
            ses_api.api_v2().get_configuration_set_event_destinations,
            ConfigurationSetName=name,
        )
    else:
        found = ask(
            "DescribeConfigurationSet",
            ses_api.api().describe_configuration_set,
            ConfigurationSetName=name,
            ConfigurationSetAttributeNames=["eventDestinations"],
        )
    return list(found.get("EventDestinations", []))


def _topic(destination: Json) -> str:
    sns = destination.get("SnsDestination") or destination.get("SNSDestination") or {}
    arn: str = sns.get("TopicArn") or sns.get("TopicARN") or ""
    return arn.rpartition(":")[2]


def _words(kind: str) -> str:
    """Return ``delivery delay`` for ``DELIVERY_DELAY`` and for ``deliveryDelay``."""
    if kind.isupper():
        return kind.replace("_", " ").lower()
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind)
