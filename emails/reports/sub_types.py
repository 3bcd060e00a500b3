"""Say what the sub-types of SES's bounces and complaints mean: one table for status, rates, suppression and words.

Sources: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS", bounce types (1),
"Amazon SNS notification contents for Amazon SES", ``complaintSubType`` (2), "Using the Amazon SES global suppression
list" (3), "Using subscription management" (6); SES API reference, TenantSuppressionAttributes (4),
SuppressionConditionThreshold (5). AWS gives no words of its own for the rates of (4) to (6): SES delivers nothing
there, as in (1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SubType:
    """Says what one sub-type of SES means.

    ``is_tried``: SES tried to deliver the email. ``counts``: SES counts the bounce in the account's bounce rate, so our
    guard does. ``suppresses``: the address gets no more email of ours. ``reason`` is empty if SES tried.
    """

    is_tried: bool = True
    counts: bool = True
    suppresses: bool = True
    reason: str = ""

    @property
    def sentence(self) -> str:
        """The reason as a sentence for staff; empty if SES tried."""
        return f"SES did not try: {self.reason}" if self.reason else ""


def _untried(reason: str, *, counts: bool = False, suppresses: bool = False) -> SubType:
    return SubType(is_tried=False, counts=counts, suppresses=suppresses, reason=reason)


# What is not here says that a mail server refused the email, or that its recipient complained.
TABLE: Mapping[str, SubType] = {
    # (1) "because it has a recent history of bouncing as an invalid address", for whatever customer of SES. (3): it
    # counts toward the bounce rate, and is to be removed from mailing lists.
    "Suppressed": _untried(
        "the address bounced lately, for us or for another customer of SES.",
        counts=True,
        suppresses=True,
    ),
    # (1) "This does not count toward your bounce rate metric." (2) says the same of a complaint.
    "OnAccountSuppressionList": _untried(
        "the address is on the SES account's suppression list.", suppresses=True
    ),
    # (4) The same, of a list that holds the bounces and complaints of one tenant.
    "OnTenantSuppressionList": _untried(
        "the address is on the SES tenant's suppression list.", suppresses=True
    ),
    # (5) SES's guess that the address is not valid, by a threshold that can be set. A guess suppresses nobody.
    "EmailValidationSuppressed": _untried("its automatic validation does not trust the address."),
    # (6) Somebody wants no more of one topic: that is no reason to keep back what a bank or a shop must tell.
    "UnsubscribedRecipient": _untried("the recipient has unsubscribed."),
}
# RFC 5965, 7.3, and the registry of its feedback types; names there know no case.
_NOT_SPAM = "not-spam"
_BY_NAME = {name.casefold(): found for name, found in TABLE.items()}
_TRIED = SubType()
_UNKNOWN_LIST = _untried("it says that the address is suppressed or unsubscribed.")


def of(name: str) -> SubType:
    """Return the meaning of a sub-type that SES gave a bounce or complaint; any name has one.

    A name that nobody knows yet is that of a list if it sounds like one: then nobody is suppressed for it. Else the
    bounce type alone decides, as SES means it to: a ``Permanent`` one suppresses.
    """
    folded = name.casefold()
    sounds_like_a_list = "suppress" in folded or "unsubscri" in folded
    return _BY_NAME.get(folded) or (_UNKNOWN_LIST if sounds_like_a_list else _TRIED)


def is_not_spam(feedback_type: object) -> bool:
    """Return True for a complaint's feedback type that says the opposite of a complaint."""
    return isinstance(feedback_type, str) and feedback_type.casefold() == _NOT_SPAM
