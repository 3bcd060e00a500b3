"""List the DNS records that a domain needs for its emails to pass, and judge the values found in DNS.

Sources: SES developer guide, "Creating and verifying identities", "Using a custom MAIL FROM domain"; RFC 7208 (SPF, see
``emails.identities.spf``), RFC 9989 (DMARC, see ``emails.identities.dmarc``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from emails.identities import dmarc, spf
from emails.identities.facts import Identity

SPF = "v=spf1 include:amazonses.com ~all"
DMARC = "v=DMARC1; p=none;"


class Result(StrEnum):
    """The result of looking up one record."""

    FOUND = "found"
    MISSING = "missing"
    DIFFERS = "differs"
    SILENT = "no answer"


@dataclass(frozen=True)
class Record:
    """One record to publish. ``why`` says what it is for; SES does not verify until every ``needed`` one is there."""

    type: str
    name: str
    value: str
    why: str
    needed: bool = False


@dataclass(frozen=True)
class Check:
    """The result for one record; ``found`` holds the values that DNS has instead, ``note`` advice for the reader."""

    result: str
    found: Sequence[str] = ()
    note: str = ""


def of(identity: Identity, *, region: str) -> list[Record]:
    """Return all records of a domain, or none for an address: its domain has them."""
    return list(_records(identity, region)) if identity.is_domain else []


def _records(identity: Identity, region: str) -> Iterator[Record]:
    domain = identity.name
    if identity.token:
        why = "Ownership: the domain is yours"
        yield Record("TXT", f"_amazonses.{domain}", identity.token, why, needed=True)
    for token in identity.dkim_tokens:
        name, value = f"{token}._domainkey.{domain}", f"{token}.{identity.dkim_zone}"
        yield Record("CNAME", name, value, "DKIM: SES signs for you", needed=True)
    if identity.mail_from:
        exchange = f"10 feedback-smtp.{region}.amazonses.com"
        yield Record(
            "MX", identity.mail_from, exchange, "MAIL FROM: bounces come back to SES", True
        )
    yield Record("TXT", identity.mail_from or domain, SPF, "SPF: SES may send for you")
    yield Record("TXT", f"_dmarc.{domain}", DMARC, "DMARC: what to do with forgeries")


def judged(record: Record, found: Sequence[str], ask: spf.Ask | None = None) -> Check:
    """Compare a record with the values that DNS has under its type and name; ``ask`` follows what SPF includes."""
    if record.value.startswith("v=spf1"):
        return _spf(found, ask)
    if record.value.startswith("v=DMARC1"):
        return _dmarc(found)
    # Another TXT record beside it is harmless; another CNAME or MX is not.
    alone = record.type != "TXT" and list(map(_plain, found)) == [_plain(record.value)]
    if alone or (record.type == "TXT" and record.value in found):
        return Check(Result.FOUND)
    return Check(Result.DIFFERS, found) if found else Check(Result.MISSING)


def _spf(found: Sequence[str], ask: spf.Ask | None) -> Check:
    records = spf.of(found)
    if not records:
        return Check(Result.MISSING)
    if len(records) > 1:
        return Check(Result.DIFFERS, records, "Only one SPF record is allowed: merge them.")
    followed = spf.follow(records[0], ask)
    if followed.errors:
        return Check(Result.DIFFERS, records, f"The record is void: {followed.errors[0]}.")
    if followed.silent and not followed.passes:
        return Check(Result.SILENT, records, f"DNS did not answer for {followed.silent[0]}.")
    if not followed.passes:
        note = (
            "A sign before include:amazonses.com keeps SES from passing: remove it."
            if followed.signs
            else "Add include:amazonses.com to the existing record, before all. Do not publish a second one."
        )
        return Check(Result.DIFFERS, records, note)
    shown = records if records[0] != SPF else ()
    return Check(Result.FOUND, shown, " ".join(dict.fromkeys(followed.warnings)))


def _dmarc(found: Sequence[str]) -> Check:
    records = dmarc.of(found)
    if not records:
        return Check(Result.MISSING)
    texts = [record.text for record in records]
    if len(records) > 1:
        return Check(Result.DIFFERS, texts, "Publish exactly one record: of several none counts.")
    [record] = records
    if record.problem:
        return Check(Result.DIFFERS, texts, record.problem)
    return Check(Result.FOUND, texts if record.text != DMARC else (), " ".join(record.notes))


def _plain(value: str) -> str:
    return value.rstrip(".").lower()
