"""The actions of SES version 1 that moto answers differently from AWS."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ses.exceptions import SesError
from moto.ses.responses import EmailResponse

from sandbox.errors import Refused
from sandbox.ses.backend import EventDestination
from sandbox.ses.identities import Identity
from sandbox.ses.mailbox import Mail, compose, everybody
from sandbox.ses.post_office import PostOffice


class SesApi(EmailResponse):  # type: ignore[misc]  # moto is untyped here
    """One request to version 1."""

    def call_action(self) -> Any:
        """Refusals leave as AWS's errors."""
        try:
            return super().call_action()
        except Refused as exc:
            return self.serialized(ActionResult(SesError(exc.code, str(exc))))

    def send_email(self) -> ActionResult:
        """SendEmail: subject, text and HTML."""
        content = self._get_param("Message", {})
        destination = self._get_param("Destination", {})
        raw = compose(
            source=self._get_param("Source"),
            destination=destination,
            reply_to=self._get_param("ReplyToAddresses", []),
            subject=content["Subject"]["Data"],
            text=content["Body"].get("Text", {}).get("Data", ""),
            html=content["Body"].get("Html", {}).get("Data", ""),
        )
        return self._submit(raw, recipients=everybody(destination))

    def send_raw_email(self) -> ActionResult:
        """SendRawEmail: a whole MIME message, in any bytes."""
        return self._submit(
            self._get_param("RawMessage.Data"), recipients=self._get_param("Destinations", [])
        )

    def verify_email_identity(self) -> ActionResult:
        """Pending, and a mail with the link."""
        self._post_office.request_verification(self._get_param("EmailAddress"), region=self.region)
        return EmptyResult()

    def verify_email_address(self) -> ActionResult:
        """The old name of VerifyEmailIdentity."""
        return self.verify_email_identity()

    def verify_domain_identity(self) -> ActionResult:
        """Pending until the control API is told that the DNS records were found."""
        return ActionResult({"VerificationToken": self._verify_domain().token})

    def verify_domain_dkim(self) -> ActionResult:
        """The same, with the three tokens of the CNAME records."""
        return ActionResult({"DkimTokens": self._verify_domain().dkim_tokens})

    def list_identities(self) -> ActionResult:
        """Verified and pending ones."""
        wanted = self._get_param("IdentityType")
        names = [
            identity.name
            for identity in self._post_office.identities
            if wanted in (None, "Domain" if identity.is_domain else "EmailAddress")
        ]
        page, token = paged(names, self._get_param("NextToken"), self._get_param("MaxItems"))
        return ActionResult({"Identities": page} | token)

    def list_verified_email_addresses(self) -> ActionResult:
        """Addresses only."""
        names = [
            each.name
            for each in self._post_office.identities
            if each.verified and not each.is_domain
        ]
        return ActionResult({"VerifiedEmailAddresses": names})

    def get_identity_verification_attributes(self) -> ActionResult:
        """Pending or Success; names that SES does not know are left out."""
        attributes = {}
        for name, identity in self._asked_identities():
            attributes[name] = {"VerificationStatus": _status(identity)}
            if identity.is_domain:
                attributes[name]["VerificationToken"] = identity.token
        return ActionResult({"VerificationAttributes": attributes})

    def get_identity_dkim_attributes(self) -> ActionResult:
        """The same truth for DKIM, with the tokens of domains."""
        attributes = {
            name: {
                "DkimEnabled": identity.is_domain,
                "DkimVerificationStatus": _status(identity) if identity.is_domain else "NotStarted",
                "DkimTokens": identity.dkim_tokens,
            }
            for name, identity in self._asked_identities()
        }
        return ActionResult({"DkimAttributes": attributes})

    def get_identity_mail_from_domain_attributes(self) -> ActionResult:
        """Pending until its records are published."""
        attributes = {
            name: {
                "MailFromDomain": identity.mail_from,
                "MailFromDomainStatus": "Success" if identity.mail_from_verified else "Pending",
                "BehaviorOnMXFailure": identity.mail_from_failing,
            }
            if identity.mail_from
            else {"BehaviorOnMXFailure": identity.mail_from_failing}
            for name, identity in self._asked_identities()
        }
        return ActionResult({"MailFromDomainAttributes": attributes})

    def set_identity_mail_from_domain(self) -> ActionResult:
        """Set the MAIL FROM domain of an identity; without a domain, remove it."""
        identity = self._post_office.identities.get(self._get_param("Identity"))
        if identity is None:
            raise SesError("InvalidParameterValue", "Identity does not exist.")
        identity.set_mail_from(
            self._get_param("MailFromDomain") or "",
            failing=self._get_param("BehaviorOnMXFailure") or "UseDefaultValue",
        )
        return EmptyResult()

    def get_send_statistics(self) -> ActionResult:
        """Return the points of each quarter of an hour, in no order, as AWS does."""
        return ActionResult({"SendDataPoints": self.backend.statistics.points()})

    def delete_identity(self) -> ActionResult:
        """Gone at once; no error if there was none."""
        self._post_office.identities.remove(self._get_param("Identity"))
        return EmptyResult()

    def describe_configuration_set(self) -> ActionResult:
        """Describe a configuration set, with its event destinations if they are asked for."""
        destinations = self._destinations
        result: dict[str, Any] = {"ConfigurationSet": {"Name": self._configuration_set}}
        if "eventDestinations" in self._get_param("ConfigurationSetAttributeNames", []):
            result["EventDestinations"] = [_described(each) for each in destinations.values()]
        return ActionResult(result)

    def create_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set has already."""
        destination = _read(self._get_param("EventDestination"))
        if destination.name in self._destinations:
            raise SesError("EventDestinationAlreadyExists", "Duplicate event destination name.")
        self.backend.put_destination(self._configuration_set, destination)
        return EmptyResult()

    def update_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set does not have."""
        destination = _read(self._get_param("EventDestination"))
        self._check_destination(destination.name)
        self.backend.put_destination(self._configuration_set, destination)
        return EmptyResult()

    def delete_configuration_set_event_destination(self) -> ActionResult:
        """Refuses a name that the set does not have."""
        name = self._get_param("EventDestinationName")
        self._check_destination(name)
        del self._destinations[name]
        return EmptyResult()

    @property
    def _post_office(self) -> PostOffice:
        post_office: PostOffice = self.backend.post_office
        return post_office

    @property
    def _configuration_set(self) -> str:
        return str(self._get_param("ConfigurationSetName"))

    @property
    def _destinations(self) -> dict[str, EventDestination]:
        destinations: dict[str, EventDestination]
        destinations = self.backend.destinations_of(self._configuration_set)
        return destinations

    def _check_destination(self, name: str) -> None:
        if name not in self._destinations:
            raise SesError("EventDestinationDoesNotExist", f"No event destination <{name}>.")

    def _asked_identities(self) -> list[tuple[str, Identity]]:
        found = (
            (name, self._post_office.identities.get(name))
            for name in self._get_param("Identities", [])
        )
        return [(name, identity) for name, identity in found if identity is not None]

    def _verify_domain(self) -> Identity:
        return self._post_office.request_verification(self._get_param("Domain"), region=self.region)

    def _submit(self, raw: bytes, *, recipients: list[str]) -> ActionResult:
        mail = Mail(
            raw,
            given_source=self._get_param("Source") or "",
            given_recipients=tuple(recipients),
            given_configuration_set=self._get_param("ConfigurationSetName") or "",
            given_tags={tag["Name"]: tag["Value"] for tag in self._get_param("Tags") or []},
        )
        return ActionResult({"MessageId": self.backend.submit(mail)})


def _read(destination: dict[str, Any]) -> EventDestination:
    return EventDestination(
        name=destination["Name"],
        event_types=tuple(destination["MatchingEventTypes"]),
        topic_arn=destination.get("SNSDestination", {}).get("TopicARN", ""),
        enabled=destination.get("Enabled", False),
    )


def _described(destination: EventDestination) -> dict[str, Any]:
    return {
        "Name": destination.name,
        "Enabled": destination.enabled,
        "MatchingEventTypes": list(destination.event_types),
        "SNSDestination": {"TopicARN": destination.topic_arn},
    }


def paged(
    names: list[Any], token: str | None, most: int | None
) -> tuple[list[Any], dict[str, str]]:
    """Return one page of the items, from where the token says, and the token of the next page."""
    start = int(token or 0)
    end = start + int(most or 100)
    return names[start:end], {"NextToken": str(end)} if end < len(names) else {}


def _status(identity: Identity) -> str:
    return "Success" if identity.verified else "Pending"
