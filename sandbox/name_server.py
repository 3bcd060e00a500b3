"""A DNS server for this machine alone: it answers for the domains that were published in the local AWS."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.exception import DNSException

from sandbox.ses.post_office import PostOffice

logger = logging.getLogger(__name__)

# None: there is no such name. An error: the server is out of order.
Answers = Callable[[str, str], Sequence[str] | None]

TTL_SECONDS = 5
_LONGEST = 4096


def of_post_office(office: PostOffice, *, region: str) -> Answers:
    """Answer with the records that the owners of verified domains have published."""

    def answers(kind: str, name: str) -> Sequence[str] | None:
        known: dict[tuple[str, str], list[str]] = {}
        for identity in office.identities:
            if identity.is_domain:
                known |= identity.published(region=region)
        if not any(name == published for _, published in known):
            return None
        return known.get((kind, name), [])

    return answers


def serve(listener: socket.socket, answers: Answers) -> None:
    """Answer datagrams until the socket is closed."""
    while True:
        try:
            wire, client = listener.recvfrom(_LONGEST)
        except OSError:
            return
        try:
            listener.sendto(_answered(wire, answers), client)
        except (DNSException, OSError) as exc:
            logger.warning("DNS question not answered: %s", exc)


def _answered(wire: bytes, answers: Answers) -> bytes:
    question = dns.message.from_wire(wire)
    response = dns.message.make_response(question, recursion_available=True)
    asked = question.question[0]
    name = asked.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(asked.rdtype)
    try:
        values = answers(kind, name)
    except LookupError:
        response.set_rcode(dns.rcode.SERVFAIL)
        return response.to_wire()
    if values is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif values:
        texts = [_quoted(value) if kind == "TXT" else value for value in values]
        response.answer.append(dns.rrset.from_text(asked.name, TTL_SECONDS, "IN", kind, *texts))
    return response.to_wire()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
