"""The parts of an SES event, each read as far as it can be: what only explains is empty where it is odd.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from queues import addresses
from queues.events.envelope import UNREADABLE

# SES writes at most this many characters of explanation; longer text is not from SES.
MAX_WORDS = 1000
MAX_ADDRESS = 254


def _plausible(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 9000:
        raise ValueError("the year must be from 2000 to 9000")
    return moment.astimezone(UTC)


def _none_unless_evidence(
    value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
) -> Any:
    """Drop a time that cannot be read, but not that of a Send event: it proves what SES did not accept."""
    try:
        return validate(value)
    except ValidationError:
        if info.context == "Send":
            raise
        return None


def _message_id(text: str) -> str:
    if not text.isprintable() or UNREADABLE in text:
        raise ValueError("it must be printable")
    return text


def _bare(address: Any) -> str:
    """Strip the display name: SES repeats an address as it was given, sometimes with a name before it."""
    text = address.strip() if isinstance(address, str) else ""
    # email.utils.parseaddr exceeds Python's recursion limit over a thousand brackets.
    return (text[:-1].rpartition("<")[2] if text.endswith(">") else text)[:MAX_ADDRESS]


def _words(value: Any) -> str:
    return value[:MAX_WORDS] if isinstance(value, str) else ""


def _name(value: Any) -> str:
    return "".join(filter(str.isprintable, _words(value)))


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _objects(value: Any) -> list[Any]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _tags(value: Any) -> dict[str, str]:
    """Return the first value of each tag; SES gives each as a list."""
    found = value.items() if isinstance(value, dict) else ()
    return {name: texts[0] for name, values in found if (texts := _texts(values))}


Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(_plausible)] | None,
    WrapValidator(_none_unless_evidence),
]
Address = Annotated[str, BeforeValidator(_bare)]
Addresses = Annotated[list[Address], BeforeValidator(_texts)]
# What a person wrote, or a mail server.
Words = Annotated[str, BeforeValidator(_words)]
# What SES calls something.
Name = Annotated[str, BeforeValidator(_name)]


class Recipient(BaseModel):
    """One recipient that SES names, and what became of the email to it."""

    address: Address = Field(default="", alias="emailAddress")
    status: Words = ""
    diagnostic: Words = Field(default="", alias="diagnosticCode")


Recipients = Annotated[list[Recipient], BeforeValidator(_objects)]


class Detail(BaseModel):
    """The part of an SES message that is named after the type of event."""

    timestamp: Moment = None
    bounce_type: Name = Field(default="", alias="bounceType")
    bounce_sub_type: Name = Field(default="", alias="bounceSubType")
    delay_type: Name = Field(default="", alias="delayType")
    feedback_type: Name = Field(default="", alias="complaintFeedbackType")
    complaint_sub_type: Name = Field(default="", alias="complaintSubType")
    reason: Name = ""
    smtp_response: Words = Field(default="", alias="smtpResponse")
    bounced: Recipients = Field(default=[], alias="bouncedRecipients")
    complained: Recipients = Field(default=[], alias="complainedRecipients")
    delayed: Recipients = Field(default=[], alias="delayedRecipients")
    delivered: Addresses = Field(default=[], alias="recipients")

    @property
    def recipient(self) -> Recipient | None:
        """The first recipient named; an email of ours has only one."""
        named = self.bounced or self.complained or self.delayed
        return named[0] if named else None

    @property
    def addresses(self) -> set[str]:
        """The addresses named, in the form in which they are compared."""
        named = self.bounced + self.complained + self.delayed
        found = [each.address for each in named] + self.delivered
        return {addresses.key(address) for address in found if address}

    def of(self, address: str) -> Self:
        """Return a copy that names this recipient only."""
        return self.model_copy(
            update={
                part: [
                    each for each in getattr(self, part) if addresses.key(each.address) == address
                ]
                for part in ("bounced", "complained", "delayed")
            }
        )


class Mail(BaseModel):
    """The email that an event is about."""

    timestamp: Moment = None
    message_id: Annotated[str, AfterValidator(_message_id)] = Field(
        alias="messageId", min_length=1, max_length=100
    )
    destination: Addresses = []
    tags: Annotated[dict[str, str], BeforeValidator(_tags)] = {}
