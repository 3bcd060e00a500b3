from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from emails.identities import dns_check, dns_records
from emails.identities.dns_records import DMARC, SPF, Record, Result
from emails.identities.facts import Identity
from sandbox import name_server

DOMAIN = "shop.example"
DKIM = Record("CNAME", f"t1._domainkey.{DOMAIN}", "t1.dkim.amazonses.com", "DKIM", needed=True)
OWNER = Record("TXT", f"_amazonses.{DOMAIN}", "Token+/=", "Ownership", needed=True)
MX = Record("MX", f"bounce.{DOMAIN}", "10 feedback-smtp.eu-west-1.amazonses.com", "MAIL FROM")
SPF_RECORD = Record("TXT", DOMAIN, SPF, "SPF")
DMARC_RECORD = Record("TXT", f"_dmarc.{DOMAIN}", DMARC, "DMARC")

Zone = dict[tuple[str, str], list[str]]


@pytest.fixture
def zone(settings) -> Iterator[Zone]:
    """The answers of a resolver on this machine, by type and name; "broken" makes it fail."""
    zone: Zone = {}

    def answers(kind: str, name: str) -> list[str] | None:
        if any(values == ["broken"] for (_, known), values in zone.items() if known == name):
            raise LookupError
        if not any(known == name for _, known in zone):
            return None
        return zone.get((kind, name), [])

    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=name_server.serve, args=(listener, answers), daemon=True)
    thread.start()
    settings.DNS_RESOLVER = f"127.0.0.1:{listener.getsockname()[1]}"
    yield zone
    address = listener.getsockname()
    listener.close()
    # The thread is still in its call, which this ends.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
        waking.sendto(b"", address)
    thread.join()


@pytest.mark.parametrize(
    ("record", "values", "result"),
    [
        (DKIM, ["T1.DKIM.amazonses.com."], Result.FOUND),
        (DKIM, ["t2.dkim.amazonses.com."], Result.DIFFERS),
        (OWNER, ["Token+/=", "of another account"], Result.FOUND),
        (OWNER, ["token+/="], Result.DIFFERS),
        (MX, ["10 feedback-smtp.eu-west-1.amazonses.com."], Result.FOUND),
        (MX, ["10 feedback-smtp.us-east-1.amazonses.com."], Result.DIFFERS),
        (
            MX,
            ["10 feedback-smtp.eu-west-1.amazonses.com.", "20 mail.shop.example."],
            Result.DIFFERS,
        ),
        (SPF_RECORD, ["something else", SPF], Result.FOUND),
        (SPF_RECORD, ["v=spf1 mx include:amazonses.com -all"], Result.FOUND),
        (SPF_RECORD, ["v=spf1 mx -all"], Result.DIFFERS),
        (SPF_RECORD, [SPF, "v=spf1 mx -all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf10 include:amazonses.com"], Result.MISSING),
        (DMARC_RECORD, ["v=DMARC1; p=reject; rua=mailto:a@shop.example"], Result.FOUND),
        (DMARC_RECORD, ["v=DMARC1; rua=mailto:a@shop.example"], Result.DIFFERS),
        (DMARC_RECORD, [DMARC, "v=DMARC1; p=reject"], Result.DIFFERS),
    ],
)
def test_a_record_is_judged_by_what_dns_has(zone, record, values, result):
    zone[record.type, record.name] = values

    [check] = dns_check.check([record])

    assert check.result == result


def test_what_is_there_instead_is_shown(zone):
    zone["CNAME", DKIM.name] = ["other.example."]
    zone["TXT", DOMAIN] = ["v=spf1 mx -all"]

    dkim, spf = dns_check.check([DKIM, SPF_RECORD])

    assert list(dkim.found) == ["other.example"]
    assert list(spf.found) == ["v=spf1 mx -all"]
    assert "Add include:amazonses.com" in spf.note


@pytest.mark.parametrize("zone_has", [{}, {("A", OWNER.name): ["127.0.0.1"]}])
def test_no_such_name_and_no_such_type_are_missing(zone, zone_has):
    zone |= zone_has

    assert [check.result for check in dns_check.check([OWNER])] == [Result.MISSING]


def test_a_subdomain_takes_the_dmarc_of_the_domain_above(zone):
    zone["TXT", "_dmarc.shop.example"] = [DMARC]

    [check] = dns_check.check([Record("TXT", "_dmarc.mail.shop.example", DMARC, "DMARC")])

    assert (check.result, check.note) == (Result.FOUND, "Inherited from shop.example.")


def test_a_server_out_of_order_is_no_missing_record(zone):
    zone["TXT", OWNER.name] = ["broken"]
    zone["CNAME", DKIM.name] = [DKIM.value + "."]

    owner, dkim = dns_check.check([OWNER, DKIM])

    assert (owner.result, dkim.result) == (Result.SILENT, Result.FOUND)


def test_silence_is_told_after_a_bounded_time(settings, monkeypatch):
    monkeypatch.setattr(dns_check, "RECORD_SECONDS", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        settings.DNS_RESOLVER = f"127.0.0.1:{silent.getsockname()[1]}"

        checks = dns_check.check([OWNER] * 6)

    assert {check.result for check in checks} == {Result.SILENT}
    assert "did not answer" in checks[0].note


@pytest.mark.parametrize("resolver", ["no address", "127.0.0.1:port", "example.com:53"])
def test_a_resolver_that_is_none_is_said_so(settings, resolver):
    settings.DNS_RESOLVER = resolver

    assert dns_check.check([OWNER])[0].result == Result.SILENT


def test_a_long_text_in_pieces_is_one_value(zone):
    token = "x" * 255 + "y" * 100
    zone["TXT", OWNER.name] = [token[:255]]

    [check] = dns_check.check([Record("TXT", OWNER.name, token[:255], "Ownership")])

    assert check.result == Result.FOUND


def test_an_address_has_no_records_of_its_own():
    assert dns_records.of(Identity("ada@shop.example"), region="eu-west-1") == []


def test_with_a_mail_from_domain_spf_counts_there():
    identity = Identity(DOMAIN, mail_from=f"bounce.{DOMAIN}")

    records = dns_records.of(identity, region="eu-west-1")

    assert [(record.type, record.name) for record in records] == [
        ("MX", f"bounce.{DOMAIN}"),
        ("TXT", f"bounce.{DOMAIN}"),
        ("TXT", f"_dmarc.{DOMAIN}"),
    ]


def test_consumers_load_no_dns():
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "notifier.settings"}
    code = (
        "import django, sys; django.setup(); "
        "sys.exit(any(name.split('.')[0] == 'dns' for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
