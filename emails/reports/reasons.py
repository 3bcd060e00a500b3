"""What the codes of mail servers and of SES mean, in a sentence each.

Sources: RFC 3463, RFC 7504 and RFC 7372 and the IANA registry of enhanced status codes; RFC 5321 for plain ones; SES
developer guide, "Bounce types", "DeliveryDelay object"; RFC 5965 for complaints.
"""

from __future__ import annotations

import re

ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_PLAIN = re.compile(r"\b([45]\d\d)\b")

_FULL = "The mailbox is full."
_TOO_LARGE = "The email is larger than the mail server takes."
_SILENT = "The recipient's mail server did not answer."
_NO_WAY = "No way to the recipient's mail server was found."
_SPAM = "The recipient's mail server took it for spam, or does not trust its sender."
_TIMEOUT = "The recipient's mail server put it off until SES gave up."
_UNPROVEN = (
    "The recipient's mail server did not find proof that we sent it: look at SPF, DKIM and DMARC."
)
_ON_LIST = "SES did not try: the address is on its suppression list."
_UNKNOWN = "The mail server did not say why."

# Class 4 and 5 say the same; the first digit tells whether it may heal.
_BY_DETAIL = {
    "1.1": "The address does not exist.",
    "1.2": "The domain of the address does not exist, or takes no email.",
    "1.3": "The address is not a valid one.",
    "1.4": "The address is not unique at its domain.",
    "1.6": "The mailbox has moved, and left no new address.",
    "1.7": "The recipient's mail server does not accept the address of the sender.",
    "1.8": "The recipient's mail server cannot look up the sender's domain.",
    "1.10": "The domain of the address takes no email.",
    "2.0": "Something is wrong with the mailbox.",
    "2.1": "The mailbox is switched off.",
    "2.2": _FULL,
    "2.3": _TOO_LARGE,
    "3.1": "The recipient's mail server has no room left.",
    "3.2": "The recipient's mail server takes no email at the moment.",
    "3.4": _TOO_LARGE,
    "4.1": _SILENT,
    "4.2": "The connection to the recipient's mail server broke.",
    "4.3": _NO_WAY,
    "4.4": _NO_WAY,
    "4.5": "The recipient's mail server has too much to do.",
    "4.6": "The email went round in circles between mail servers.",
    "4.7": _TIMEOUT,
    "7.1": _SPAM,
    "7.20": _UNPROVEN,
    "7.23": _UNPROVEN,
    "7.25": _UNPROVEN,
    "7.26": _UNPROVEN,
}
_BY_SUBJECT = {
    "1": "Something is wrong with the address.",
    "2": "Something is wrong with the mailbox.",
    "3": "The recipient's mail server has trouble of its own.",
    "4": "The recipient's mail server could not be reached.",
    "5": "The mail servers did not understand each other.",
    "6": "The recipient's mail server does not take the email's content.",
    "7": "The recipient's mail server refused it by its rules.",
}
_BY_PLAIN = {
    "421": "The recipient's mail server takes no email at the moment.",
    "450": "The mailbox is not available at the moment.",
    "451": "The recipient's mail server has trouble of its own.",
    "452": "The recipient's mail server has no room left.",
    "521": "The domain of the address takes no email.",
    "550": "The mailbox is not there, or the mail server does not let us write to it.",
    "551": "The mailbox is at another mail server.",
    "552": _FULL,
    "553": "The address is not a valid one.",
    "554": "The recipient's mail server refused it.",
    "556": "The domain of the address takes no email.",
}
_BY_WORD = {
    # Bounces.
    "NoEmail": "SES could not read the address out of the answer of the mail server.",
    "Suppressed": _ON_LIST,
    "OnAccountSuppressionList": _ON_LIST,
    "UnsubscribedRecipient": "The recipient has unsubscribed.",
    "MailboxFull": _FULL,
    "MessageTooLarge": _TOO_LARGE,
    "ContentRejected": "The recipient's mail server does not take the email's content.",
    "AttachmentRejected": "The recipient's mail server does not take the email's attachment.",
    # Delays.
    "InternalFailure": "SES has trouble of its own.",
    "SpamDetected": "The recipient's mail server sees much unwanted email from SES.",
    "RecipientServerError": "The recipient's mail server has trouble of its own.",
    "IPFailure": "The recipient's mail server blocks, or slows, the address that SES sends from.",
    "TransientCommunicationFailure": "The connection to the recipient's mail server broke.",
    "SendingDeferral": "SES waits before it tries this mail server again.",
    # Complaints.
    "abuse": "The recipient called it spam.",
    "auth-failure": _UNPROVEN,
    "fraud": "The recipient's provider takes it for fraud.",
    "not-spam": "The recipient says that it is no spam.",
    "virus": "The recipient's provider found a virus in it.",
    "other": "The recipient's provider reports it, and does not say why.",
    "complaint": "The recipient called it spam.",
    # Rejects.
    "Bad content": "SES found a virus in it, and sent it to nobody.",
    "rejected": "SES did not let it out.",
}
# Theirs to know and to mend; what mail servers think of us is not.
_OWN_SUBJECTS = ("1", "2")


def code(*, kind: str, status: str, words: str) -> str:
    """The most telling code of a bounce or a delay: ``5.1.1``, ``MailboxFull``, ``550``; ``kind`` is SES's own name."""
    if "Suppress" in kind or kind == "UnsubscribedRecipient":
        return kind
    enhanced = [found[0] for text in (status, words) if (found := ENHANCED.search(text))]
    telling = [found for found in enhanced if not found.endswith(".0.0")]
    plain = [found[0] for found in [_PLAIN.search(words)] if found]
    named = [kind] if kind in _BY_WORD else []
    return [*telling, *named, *plain, *enhanced, kind][0]


def sentence(code: str) -> str:
    """What a code means."""
    if word := _BY_WORD.get(code) or _BY_PLAIN.get(code):
        return word
    if found := ENHANCED.fullmatch(code):
        _, subject, detail = found.groups()
        return _BY_DETAIL.get(f"{subject}.{detail}") or _BY_SUBJECT.get(subject, _UNKNOWN)
    return _UNKNOWN


def is_for_recipient(code: str) -> bool:
    """Whether the code is about the recipient's own address or mailbox, and may be told to whoever reads the order."""
    found = ENHANCED.fullmatch(code)
    return code == "MailboxFull" or bool(found and found[2] in _OWN_SUBJECTS)
