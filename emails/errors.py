"""The errors of this app, named for what the caller should do.

SendError
├── NotSent         SES certainly did not accept the email: the caller may try again
│   ├── Throttled       we send too fast: slow down and try again; the message is not to blame
│   └── Unavailable     SES sends nothing for us now: wait until that heals; the message is not to blame
├── Refused         SES will never accept this message as it is
└── InDoubt         SES may have accepted the email: do not try again on a guess
Unwritable          no email can be made of these headers; SES was not called
RenderError         the template and its data do not fit; SES was not called
IdentityError       SES did not do what we asked of an identity; the text says why
└── NoSuchIdentity      SES does not have this identity or configuration set
ListUnavailable     we cannot read or change SES's suppression list now; the text says why
├── ListBusy            we asked too often: go on later where the work stopped
└── ListForbidden       a permission or the operation is missing: go on without the list
NotListable         SES refuses to list this address: do not ask again
Untrusted           SNS did not sign this message to the webhook for us: refuse it
CertificateUnavailable  we cannot check now whether SNS signed the message: let SNS try again
StaleTemplate       somebody else decided about the template meanwhile: look again, then decide
NotTransferred      templates cannot be read from files or written to them; nothing was changed
"""

from __future__ import annotations


class SendError(Exception):
    """The base class: a call to SES failed. ``code`` is SES's own error code, or the class name of the cause."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__


class NotSent(SendError):
    """SES certainly did not accept the email, and the cause may heal: an unverified recipient, a refused connection."""


class Throttled(NotSent):
    """We exceeded SES's sending rate."""


class Unavailable(NotSent):
    """SES sends nothing for us now: quota, account, sender, configuration set or credentials are not in order.

    ``breaker`` says which of them, for ``emails.sending.breakers``.
    """

    def __init__(self, reason: str, *, code: str = "", breaker: str) -> None:
        super().__init__(reason, code=code)
        self.breaker = breaker


class Refused(SendError):
    """SES certainly did not accept the email, and waiting changes nothing: a bad parameter, a rejected message."""


class InDoubt(SendError):
    """SES may have accepted the email: its answer was lost, or makes no sense."""


class Unwritable(ValueError):
    """An email cannot be written, for example because a header has a line break.

    It is a ValueError because later versions of Django raise ValueError instead of BadHeaderError.
    """


class RenderError(Exception):
    """A template is missing or broken, or the data lacks a variable; the text names the template and the variable."""


class IdentityError(Exception):
    """SES refused a request about an identity, or the endpoint cannot do it; the text is for the person who asked."""


class ListUnavailable(Exception):
    """SES did not answer, or refused to work on its suppression list; the text is for staff."""


class ListBusy(ListUnavailable):
    """We asked for SES's list too often: SES takes about one call a second."""


class ListForbidden(ListUnavailable):
    """We may not use SES's list: asking again changes nothing until somebody grants the permission."""


class NotListable(Exception):
    """SES does not take this address on its suppression list; the text is for staff."""


class NoSuchIdentity(IdentityError):
    """SES does not know this identity or configuration set."""


class Untrusted(Exception):
    """A message to the webhook is not from SNS, not for us, or too old; the text is for the log."""


class CertificateUnavailable(Exception):
    """We could not fetch the certificate of SNS."""


class NoCanary(Exception):
    """This version cannot go to a few emails first; the text is for staff."""


class StaleTemplate(Exception):
    """Somebody else changed this template or draft in the meantime; the text is for staff."""


class NotTransferred(Exception):
    """Templates were neither imported nor exported; the text says why, for the person who asked."""


class Barred(Exception):
    """A draft must not be published now; the text tells staff why, and what to do."""
