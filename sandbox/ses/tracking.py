"""Opens and clicks as SES comes to know of them: a picture in an HTML mail, and links that lead over SES.

Source: SES developer guide, "Email sending metrics FAQs": the picture is at the end of the mail, and a link with the
attribute ``ses:no-track`` is left as it is, without the attribute. Here only the HTML is changed, where it is read.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from html import escape, unescape

from sandbox.ses.mailbox import Mail

OPEN, CLICK = "open", "click"
PICTURE = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

_TAG = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"""(\bhref\s*=\s*)(["'])(https?://.*?)\2""", re.IGNORECASE | re.DOTALL)
_UNTRACKED = re.compile(r"""\sses:no-track\b(=["']{2})?""", re.IGNORECASE)
_END = re.compile(r"</body\s*>", re.IGNORECASE)


def watched(mail: Mail, *, url: str) -> str:
    """The mail's HTML as its recipient gets it; ``url`` is that of the local AWS."""
    html = mail.body("text/html")
    if CLICK in mail.tracked:
        html = _led(html, lambda number, _: f"{url}/_sandbox/click/{mail.id}/{number}")
    if OPEN in mail.tracked and html:
        picture = f'<img alt="" src="{url}/_sandbox/open/{mail.id}" width="1" height="1">'
        end = _END.search(html)
        position = end.start() if end else len(html)
        html = f"{html[:position]}{picture}{html[position:]}"
    return html


def link(mail: Mail, number: int) -> str | None:
    """Return the address that the link of this number led to before; None if there is no such link."""
    found: list[str] = []

    def noted(_: int, address: str) -> str:
        found.append(address)
        return address

    _led(mail.body("text/html"), noted)
    return found[number] if CLICK in mail.tracked and 0 <= number < len(found) else None


def _led(html: str, place: Callable[[int, str], str]) -> str:
    """Lead each link somewhere else: ``place`` is given its number and where it led."""
    count = 0

    def changed(tag: re.Match[str]) -> str:
        nonlocal count
        if _UNTRACKED.search(tag[0]):
            return _UNTRACKED.sub("", tag[0])
        address = _ADDRESS.search(tag[0])
        if address is None:
            return tag[0]
        new = escape(place(count, unescape(address[3])))
        count += 1
        return f"{tag[0][: address.start(3)]}{new}{tag[0][address.end(3) :]}"

    return _TAG.sub(changed, html)
