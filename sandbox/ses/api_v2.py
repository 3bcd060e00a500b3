"""The same SES through API version 2: mails, identities, event destinations and the account."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any
from urllib.parse import unquote

from moto.core.responses import ActionResult, EmptyResult
from moto.ses.exceptions import SesError
from moto.sesv2.responses import SESV2Response

from sandbox.errors import Refused
from sandbox.ses.api_v1 import paged
from sandbox.ses.backend import EventDestination, SandboxSES
from sandbox.ses.identities import Identity
from sandbox.ses.mailbox import Mail, compose, everybody
from sandbox.ses.post_office import check_address

# Version 2 has other names for the same refusals.
_CODES = {
    "InvalidParameterValue": "BadRequestException",
    "ConfigurationSetDoesNotExist": "NotFoundException",
}


class SesV2Api(SESV2Response):  # type: ignore[misc]  # moto is untyped here
    """One request to version 2."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True

    def call_action(self) -> Any:
        """Refusals leave as AWS's errors."""
        try:
            return super().call_action()
        except Refused as exc:
            code = _CODES.get(exc.code, exc.code)
            return self.serialized(ActionResult(SesError(code, str(exc))))

    def _get_action(self) -> str:
        """Take both addresses of ListEmailIdentities: POST /v2/email/list-identities, and that of older SDKs."""
        if self.method == "GET" and self.parsed_url.path == "/v2/email/identities":
            return "ListEmailIdentities"
        return str(super()._get_action())

    def send_email(self) -> ActionResult:
        """SendEmail, raw or simple; templates are rendered by the product, not by SES."""
        content, destination = self._get_param("Content"), self._get_param("Destination", {})
        source = self._get_param("FromEmailAddress") or ""
        if "Template" in content:
            raise SesError("BadRequestException", "The local AWS sends no SES templates.")
        mail = Mail(
            content["Raw"]["Data"]
            if "Raw" in content
            else self._composed(content["Simple"], source=source, destination=destination),
            given_source=source,
            given_recipients=tuple(everybody(destination)),
            given_configuration_set=self._get_param("ConfigurationSetName") or "",
            given_tags={tag["Name"]: tag["Value"] for tag in self._get_param("EmailTags") or []},
        )
        return ActionResult({"MessageId": self._backend.submit(mail)})

    def get_account(self) -> ActionResult:
        """Say if the sandbox's rules hold, and how much may be sent."""
        quota = self._backend.get_send_quota()
        return ActionResult(
            {
                "ProductionAccessEnabled": not self._backend.post_office.sandbox_rules,
                "SendingEnabled": True,
                "EnforcementStatus": "HEALTHY",
                "SendQuota": {
                    "Max24HourSend": quota.max24_hour_send,
                    "MaxSendRate": quota.max_send_rate,
                    "SentLast24Hours": quota.sent_last24_hours,
                },
            }
        )

    def create_email_identity(self) -> ActionResult:
        """Pending; an address gets a mail with its link."""
        name = self._get_param("EmailIdentity")
        if self._backend.post_office.identities.get(name):
            raise SesError("AlreadyExistsException", f"Email identity {name} already exist.")
        identity = self._backend.post_office.request_verification(name, region=self.region)
        described = _described(identity)
        wanted = ("IdentityType", "VerifiedForSendingStatus", "DkimAttributes")
        return ActionResult({key: described[key] for key in wanted})

    def get_email_identity(self) -> ActionResult:
        """PENDING or SUCCESS."""
        return ActionResult(_described(self._identity()))

    def list_email_identities(self) -> ActionResult:
        """Page by page."""
        everyone = list(self._backend.post_office.identities)
        token, size = (
            self._get_param(name) or self.querystring.get(name, [None])[0]
            for name in ("NextToken", "PageSize")
        )
        page, next_token = paged(everyone, token, size)
        identities = [
            {
                "IdentityType": _type(identity),
                "IdentityName": identity.name,
                "SendingEnabled": identity.verified,
                "VerificationStatus": _status(identity),
            }
            for identity in page
        ]
        return ActionResult({"EmailIdentities": identities} | next_token)

    def put_email_identity_mail_from_attributes(self) -> ActionResult:
        """Set the MAIL FROM domain of an identity; without a domain, remove it."""
        identity = self._identity()
        failing = self._get_param("BehaviorOnMxFailure") or "USE_DEFAULT_VALUE"
        identity.set_mail_from(
            self._get_param("MailFromDomain") or "",
            failing="".join(word.title() for word in failing.split("_")),
        )
        return EmptyResult()

    def delete_email_identity(self) -> ActionResult:
        """Unlike version 1 it refuses an identity that is not there."""
        self._backend.post_office.identities.remove(self._identity().name)
        return EmptyResult()

    def get_configuration_set_event_destinations(self) -> ActionResult:
        """Return all event destinations of the set."""
        destinations = self._destinations.values()
        return ActionResult({"EventDestinations": [_destination(each) for each in destinations]})

    def create_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set has already."""
        if self._destination_name in self._destinations:
            raise SesError("AlreadyExistsException", "Duplicate event destination name.")
        return self._put_destination()

    def update_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set does not have."""
        self._check_destination()
        return self._put_destination()

    def delete_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set does not have."""
        self._check_destination()
        del self._destinations[self._destination_name]
        return EmptyResult()

    def put_suppressed_destination(self) -> ActionResult:
        """The account's suppression list takes any address."""
        address, reason = self._get_param("EmailAddress"), self._get_param("Reason")
        if "@" not in address:
            raise SesError("BadRequestException", "Invalid email address.")
        if not address.isascii():
            check_address(address)
        self._backend.post_office.suppressed.put(address, reason)
        return EmptyResult()

    def get_suppressed_destination(self) -> ActionResult:
        """One address with its reason."""
        found = self._backend.post_office.suppressed.get(self._suppressed_address)
        if found is None:
            raise self._not_suppressed()
        return ActionResult({"SuppressedDestination": found.described})

    def delete_suppressed_destination(self) -> ActionResult:
        """Refuses an address that is not listed."""
        if not self._backend.post_office.suppressed.remove(self._suppressed_address):
            raise self._not_suppressed()
        return EmptyResult()

    def list_suppressed_destinations(self) -> ActionResult:
        """Return the suppression list by pages; the token is where the next page begins."""
        since = self._get_param("StartDate")
        found, rest = self._backend.post_office.suppressed.page(
            begin=int(self._get_param("NextToken") or 0),
            size=int(self._get_param("PageSize") or 100),
            since=since and since.replace(tzinfo=UTC),
            reasons=self._get_param("Reasons") or [],
        )
        answer = {"SuppressedDestinationSummaries": [each.described for each in found]}
        return ActionResult(answer | ({"NextToken": str(rest)} if rest else {}))

    @property
    def _suppressed_address(self) -> str:
        return unquote(self._get_param("EmailAddress"))

    def _not_suppressed(self) -> SesError:
        text = f"Email address {self._suppressed_address} does not exist on your suppression list."
        return SesError("NotFoundException", text)

    @property
    def _backend(self) -> SandboxSES:
        backend: SandboxSES = self.sesv2_backend.core_backend
        return backend

    @property
    def _destinations(self) -> dict[str, EventDestination]:
        return self._backend.destinations_of(self._get_param("ConfigurationSetName"))

    @property
    def _destination_name(self) -> str:
        return str(self._get_param("EventDestinationName"))

    def _check_destination(self) -> None:
        if self._destination_name not in self._destinations:
            name = self._destination_name
            raise SesError("NotFoundException", f"No event destination <{name}>.")

    def _put_destination(self) -> ActionResult:
        given = self._get_param("EventDestination")
        destination = EventDestination(
            name=self._destination_name,
            event_types=tuple(_camel(each) for each in given["MatchingEventTypes"]),
            topic_arn=given.get("SnsDestination", {}).get("TopicArn", ""),
            enabled=given.get("Enabled", False),
        )
        self._backend.put_destination(self._get_param("ConfigurationSetName"), destination)
        return EmptyResult()

    def _identity(self) -> Identity:
        name = self._get_param("EmailIdentity")
        identity = self._backend.post_office.identities.get(name)
        if identity is None:
            raise SesError("NotFoundException", f"Email identity {name} does not exist.")
        return identity

    def _composed(
        self, simple: dict[str, Any], *, source: str, destination: dict[str, list[str]]
    ) -> bytes:
        return compose(
            source=source,
            destination=destination,
            reply_to=self._get_param("ReplyToAddresses", []),
            subject=simple["Subject"]["Data"],
            text=simple["Body"].get("Text", {}).get("Data", ""),
            html=simple["Body"].get("Html", {}).get("Data", ""),
        )


def _described(identity: Identity) -> dict[str, Any]:
    return {
        "IdentityType": _type(identity),
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": identity.verified,
        "VerificationStatus": _status(identity),
        "DkimAttributes": {
            "SigningEnabled": identity.is_domain,
            "Status": _status(identity) if identity.is_domain else "NOT_STARTED",
            "Tokens": identity.dkim_tokens,
            "SigningAttributesOrigin": "AWS_SES",
        },
        "MailFromAttributes": _mail_from(identity),
        "Policies": {},
        "Tags": [],
    }


def _mail_from(identity: Identity) -> dict[str, str]:
    failing = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identity.mail_from_failing).upper()
    if not identity.mail_from:
        return {"BehaviorOnMxFailure": failing}
    return {
        "MailFromDomain": identity.mail_from,
        "MailFromDomainStatus": "SUCCESS" if identity.mail_from_verified else "PENDING",
        "BehaviorOnMxFailure": failing,
    }


def _destination(destination: EventDestination) -> dict[str, Any]:
    return {
        "Name": destination.name,
        "Enabled": destination.enabled,
        "MatchingEventTypes": [_upper(each) for each in destination.event_types],
        "SnsDestination": {"TopicArn": destination.topic_arn},
    }


def _camel(event_type: str) -> str:
    """``deliveryDelay`` of ``DELIVERY_DELAY``."""
    first, *others = event_type.lower().split("_")
    return first + "".join(word.title() for word in others)


def _upper(event_type: str) -> str:
    """``DELIVERY_DELAY`` of ``deliveryDelay``."""
    return re.sub(r"(?=[A-Z])", "_", event_type).upper()


def _type(identity: Identity) -> str:
    return "DOMAIN" if identity.is_domain else "EMAIL_ADDRESS"


def _status(identity: Identity) -> str:
    return "SUCCESS" if identity.verified else "PENDING"
