"""Ask DNS whether records are published. dnspython is imported on use only, so consumers never load it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from emails.identities import dmarc
from emails.identities.dns_records import Check, Record, Result, judged

if TYPE_CHECKING:
    from dns.resolver import Resolver

# The limits for one question to one server, and for everything that one record takes.
TRY_SECONDS, RECORD_SECONDS = 1.5, 3.0
_SIDE_BY_SIDE = 8


def check(records: Sequence[Record]) -> list[Check]:
    """Return one check for each record, within a few seconds whatever DNS does."""
    from dns.exception import DNSException

    try:
        resolver = _resolver()
    except (DNSException, OSError, ValueError) as exc:
        return [Check(Result.SILENT, note=f"No resolver: {exc}")] * len(records)
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="dns") as threads:
        return list(threads.map(lambda record: _checked(resolver, record), records))


def _checked(resolver: Resolver, record: Record) -> Check:
    found = _looked_up(resolver, record.type, record.name)
    if isinstance(found, Check):
        return found
    ask = _asked(resolver)
    verdict = judged(record, found, ask)
    if record.name.startswith("_dmarc.") and verdict.result == Result.MISSING:
        return _inherited(record, ask)
    return verdict


def _asked(resolver: Resolver) -> Callable[[str], Sequence[str] | None]:
    """Return a function that asks for the texts at a name, all of them within the time of a record."""
    until = time.monotonic() + RECORD_SECONDS

    def ask(name: str) -> Sequence[str] | None:
        if time.monotonic() > until:
            return None
        found = _looked_up(resolver, "TXT", name)
        return None if isinstance(found, Check) else found

    return ask


def _inherited(record: Record, ask: dmarc.Ask) -> Check:
    """Check the domains above: a domain without a DMARC record of its own uses that of its organization."""
    above, found, is_complete = dmarc.walk(record.name.removeprefix("_dmarc."), ask)
    if not is_complete:
        return Check(Result.SILENT, note="DNS did not answer for the domains above.")
    if found is None:
        return Check(Result.MISSING)
    verdict = judged(record, [found.text])
    policy = f"Its policy for domains below is {found.tags['sp']}." if "sp" in found.tags else ""
    notes = (f"Inherited from {above}.", policy, verdict.note)
    return Check(verdict.result, [found.text], " ".join(filter(None, notes)))


def _looked_up(resolver: Resolver, kind: str, name: str) -> list[str] | Check:
    """Return the published values as people write them, or a Check that says why DNS gave no answer."""
    from dns.exception import DNSException, Timeout
    from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers

    try:
        answer = resolver.resolve(name, kind, search=False)
    except (NXDOMAIN, NoAnswer):
        return []
    except Timeout:
        return Check(Result.SILENT, note=f"DNS did not answer within {RECORD_SECONDS:g} s.")
    except NoNameservers:
        return Check(Result.SILENT, note="The domain's DNS servers answered with an error.")
    except (DNSException, OSError) as exc:
        return Check(Result.SILENT, note=f"The DNS query failed: {exc}")
    return sorted(_text(kind, value) for value in answer)


def _text(kind: str, value: object) -> str:
    if kind == "TXT":
        strings: Sequence[bytes] = getattr(value, "strings", ())
        return b"".join(strings).decode("utf-8", "replace")
    return str(value).rstrip(".")


def _resolver() -> Resolver:
    """Return a resolver for DNS_RESOLVER, or the machine's own if that setting is empty."""
    from dns.resolver import Resolver

    wanted = urlsplit(f"//{settings.DNS_RESOLVER}")
    resolver = Resolver(configure=not wanted.hostname)
    if wanted.hostname:
        resolver.nameservers = [wanted.hostname]
        resolver.port = wanted.port or 53
    resolver.timeout, resolver.lifetime = TRY_SECONDS, RECORD_SECONDS
    return resolver
