"""Explain each code of mail servers and of SES in one sentence.

Sources: RFC 3463, RFC 7504 and RFC 7372 and the IANA registry of enhanced status codes; RFC 5321 for plain ones; SES
developer guide, "Bounce types", "DeliveryDelay object"; RFC 5965 for complaints.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext_noop as noop

from emails.reports import sub_types

ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")
# A mail server's reply begins with its code (RFC 5321, 4.2), and its enhanced code comes next (RFC 2034, 4), both with
# the same first digit (RFC 3463, 2). Some servers put the enhanced code elsewhere, behind a #. Any other number, as of
# an address, a version, a time or a size, is no code.
_REPLY = re.compile(
    r"(?:^|\bsaid: |\bsays: )\s*(?P<plain>[245]\d\d)(?=[ -]|$)"
    r"(?!\s+(?:\w?bytes|[kmg]i?b|m?seconds|secs?|minutes|mins?|hours|days|messages)\b)"
    r"(?:[ -] *#?(?P<enhanced>[245]\.\d{1,3}\.\d{1,3})(?!\.?\w|-\w))?",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"^\s*#?([245]\.\d{1,3}\.\d{1,3})(?=[\s:;,]|$)|#([245]\.\d{1,3}\.\d{1,3})(?![.\d])"
)
# RFC 3464, 2.3.6: the kind of diagnosis comes before a semicolon.
_KIND = re.compile(r"^\s*[\w-]+\s*;")
# RFC 3464, 2.3.4: a comment may follow the status.
_STATUS = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})(?=[\s(]|$)")

_FULL = noop("The mailbox is full.")
_TOO_LARGE = noop("The email is larger than the mail server accepts.")
_SILENT = "The recipient's mail server did not answer."
_NO_WAY = "No route to the recipient's mail server was found."
_SPAM = "The recipient's mail server treated it as spam, or does not trust its sender."
_TIMEOUT = "The recipient's mail server deferred it until SES gave up."
_UNPROVEN = "The recipient's mail server found no proof that we sent it. Check SPF, DKIM and DMARC."
_UNKNOWN = "The mail server did not say why."

# Classes 4 and 5 share their meanings; the first digit says whether the problem may pass.
_BY_DETAIL = {
    "1.1": noop("The address does not exist."),
    "1.2": noop("The domain of the address does not exist, or accepts no email."),
    "1.3": noop("The address is not valid."),
    "1.4": noop("The address is not unique at its domain."),
    "1.6": noop("The mailbox has moved and left no new address."),
    "1.7": noop("The recipient's mail server does not accept the address of the sender."),
    "1.8": noop("The recipient's mail server cannot look up the sender's domain."),
    "1.10": noop("The domain of the address accepts no email."),
    "2.0": noop("Something is wrong with the mailbox."),
    "2.1": noop("The mailbox is disabled."),
    "2.2": _FULL,
    "2.3": _TOO_LARGE,
    "3.1": "The recipient's mail server has no storage left.",
    "3.2": "The recipient's mail server accepts no email at the moment.",
    "3.4": _TOO_LARGE,
    "4.1": _SILENT,
    "4.2": "The connection to the recipient's mail server broke.",
    "4.3": _NO_WAY,
    "4.4": _NO_WAY,
    "4.5": "The recipient's mail server is overloaded.",
    "4.6": "The email looped between mail servers.",
    "4.7": _TIMEOUT,
    "7.1": _SPAM,
    "7.20": _UNPROVEN,
    "7.23": _UNPROVEN,
    "7.25": _UNPROVEN,
    "7.26": _UNPROVEN,
}
_BY_SUBJECT = {
    "1": noop("Something is wrong with the address."),
    "2": noop("Something is wrong with the mailbox."),
    "3": "The recipient's mail server has an internal problem.",
    "4": "The recipient's mail server could not be reached.",
    "5": "The mail servers did not understand each other.",
    "6": "The recipient's mail server rejected the email's content.",
    "7": "The recipient's mail server rejected it by policy.",
}
_BY_PLAIN = {
    "421": "The recipient's mail server accepts no email at the moment.",
    "450": "The mailbox is not available at the moment.",
    "451": "The recipient's mail server has an internal problem.",
    "452": "The recipient's mail server has no storage left.",
    "521": "The domain of the address accepts no email.",
    "550": "The mailbox does not exist, or the mail server does not let us write to it.",
    "551": "The mailbox is on another mail server.",
    "552": _FULL,
    "553": "The address is not valid.",
    "554": "The recipient's mail server rejected it.",
    "556": "The domain of the address accepts no email.",
}
_BY_WORD = {
    # Bounces.
    "NoEmail": "SES could not find the address in the mail server's answer.",
    "MailboxFull": _FULL,
    "MessageTooLarge": _TOO_LARGE,
    "ContentRejected": "The recipient's mail server rejected the email's content.",
    "AttachmentRejected": "The recipient's mail server rejected the email's attachment.",
    "CustomTimeoutExceeded": _TIMEOUT,
    # Delays.
    "InternalFailure": "SES has an internal problem.",
    "SpamDetected": "The recipient's mail server gets much unwanted email from SES.",
    "RecipientServerError": "The recipient's mail server has an internal problem.",
    "IPFailure": "The recipient's mail server blocks or slows the IP address that SES sends from.",
    "TransientCommunicationFailure": "The connection to the recipient's mail server broke.",
    "SendingDeferral": "SES is waiting before it tries this mail server again.",
    # Complaints.
    "abuse": "The recipient marked it as spam.",
    "auth-failure": _UNPROVEN,
    "fraud": "The recipient's provider reported it as fraud.",
    "not-spam": "The recipient says that it is not spam.",
    "virus": "The recipient's provider found a virus in it.",
    "other": "The recipient's provider reported it without a reason.",
    "complaint": "The recipient marked it as spam.",
    # Rejects.
    "Bad content": "SES found a virus in it and did not send it.",
    "rejected": "SES rejected it.",
}
# Recipients may read and fix these; what mail servers think of us is not for them.
_OWN_SUBJECTS = ("1", "2")


def code(*, kind: str, status: str, words: str) -> str:
    """Return the most telling code of a bounce or delay: ``5.1.1``, ``MailboxFull``, ``550``. ``kind``: SES's name."""
    if not sub_types.of(kind).is_tried:
        return kind
    plain, written = _codes(_KIND.sub("", words, count=1))
    enhanced = [*(found[1] for found in [_STATUS.match(status)] if found), *written]
    telling = [found for found in enhanced if not found.endswith(".0.0")]
    named = [kind] if kind in _BY_WORD else []
    return [*telling, *named, *plain, *enhanced, kind][0]


def sentence(code: str) -> str:
    """Return the meaning of a code as one sentence."""
    if word := _BY_WORD.get(code) or _BY_PLAIN.get(code) or sub_types.of(code).sentence:
        return word
    if found := ENHANCED.fullmatch(code):
        _, subject, detail = found.groups()
        return _BY_DETAIL.get(f"{subject}.{detail}") or _BY_SUBJECT.get(subject, _UNKNOWN)
    return _UNKNOWN


def is_for_recipient(code: str) -> bool:
    """Return True if the code is about the recipient's own address or mailbox, so the order's page may show it."""
    found = ENHANCED.fullmatch(code)
    return code == "MailboxFull" or bool(found and found[2] in _OWN_SUBJECTS)


def _codes(reply: str) -> tuple[list[str], list[str]]:
    """Return the plain and the enhanced code of a mail server's reply, each as a list of at most one."""
    found = _REPLY.search(reply)
    if found is None:
        alone = _ALONE.search(reply)
        return [], [alone[1] or alone[2]] if alone else []
    plain, enhanced = found["plain"], found["enhanced"]
    if not enhanced and (behind := _ALONE.search(reply)):
        enhanced = behind[2]
    is_one = bool(enhanced) and enhanced[0] == plain[0]
    return [plain] if plain[0] != "2" else [], [enhanced] if is_one else []
