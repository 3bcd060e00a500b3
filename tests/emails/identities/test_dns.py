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
        # RFC 7208, 4.6.2: a sign before a mechanism, names in any case; 7.1: a dot at the end.
        (SPF_RECORD, ["v=spf1 +include:amazonses.com -all"], Result.FOUND),
        (SPF_RECORD, ["v=spf1 mx +INCLUDE:AmazonSES.com ?all"], Result.FOUND),
        (SPF_RECORD, ["V=SPF1  include:amazonses.com.  ~all "], Result.FOUND),
        (
            SPF_RECORD,
            ["v=spf1 ip4:192.0.2.0/24 a:x.example/24 include:amazonses.com exp=e.example"],
            Result.FOUND,
        ),
        (SPF_RECORD, ["v=spf1 -include:amazonses.com ~all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 ~include:amazonses.com ~all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 ?include:amazonses.com ~all"], Result.DIFFERS),
        # 5.1: what comes after all is not looked at.
        (SPF_RECORD, ["v=spf1 -all include:amazonses.com"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 ~all redirect=amazonses.com"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 redirect=amazonses.com"], Result.FOUND),
        (SPF_RECORD, ["v=spf1 redirect=amazonses.com redirect=amazonses.com"], Result.DIFFERS),
        # 4.6: an error anywhere makes the record void.
        (SPF_RECORD, ["v=spf1 include:amazonses.com includes:x.example -all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 include: include:amazonses.com -all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 include:amazonses.com" + " a" * 10], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 include:amazonses.com" + " a" * 9], Result.FOUND),
        (SPF_RECORD, ["v=spf1 include:amazonses.com.evil.example -all"], Result.DIFFERS),
        (SPF_RECORD, ["v=spf1 include:notamazonses.com -all"], Result.DIFFERS),
        (DMARC_RECORD, ["v=DMARC1; p=reject; rua=mailto:a@shop.example"], Result.FOUND),
        (DMARC_RECORD, ["v=DMARC1; rua=mailto:a@shop.example"], Result.DIFFERS),
        (DMARC_RECORD, [DMARC, "v=DMARC1; p=reject"], Result.DIFFERS),
        # RFC 9989, 4.8: the version comes first and its case counts; spaces are allowed around signs.
        (DMARC_RECORD, ["v=DMARC1; p=foo"], Result.DIFFERS),
        (DMARC_RECORD, ["v=DMARC1; p=monitor"], Result.DIFFERS),
        (DMARC_RECORD, ["v=DMARC1; p=none; sp=foo"], Result.DIFFERS),
        (DMARC_RECORD, ["v=DMARC10; p=none"], Result.MISSING),
        (DMARC_RECORD, ["v=DMARC1 p=none"], Result.MISSING),
        (DMARC_RECORD, ["p=none; v=DMARC1"], Result.MISSING),
        (DMARC_RECORD, ["v=Dmarc1; p=reject"], Result.MISSING),
        (DMARC_RECORD, ["v=dmarc1; p=none"], Result.MISSING),
        (DMARC_RECORD, ["v =DMARC1; p=none"], Result.FOUND),
        (DMARC_RECORD, ["v\t= DMARC1 ;\tP = Reject ; np=reject;psd=n; t=y;x=y"], Result.FOUND),
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


@pytest.mark.parametrize(
    ("records", "domain", "expected"),
    [
        ({"shop.example": "v=DMARC1; p=reject"}, "a.mail.shop.example", "shop.example"),
        ({"shop.example": "v=DMARC1; p=reject"}, "eu.news.shop.example", "shop.example"),
        # RFC 9989, 4.10.2: the record with the fewest labels, unless psd= says where the organization is.
        ({"b.shop.example": DMARC, "shop.example": DMARC}, "a.b.shop.example", "shop.example"),
        (
            {"b.shop.example": "v=DMARC1; p=none; psd=n", "shop.example": DMARC},
            "a.b.shop.example",
            "b.shop.example",
        ),
        (
            {"shop.example": DMARC, "example": "v=DMARC1; p=reject; psd=y"},
            "a.shop.example",
            "shop.example",
        ),
        ({"example": "v=DMARC1; p=reject; psd=y"}, "a.shop.example", "example"),
        # Of a name of more labels only the last seven are asked.
        ({"shop.example": DMARC}, "1.2.3.4.5.6.7.8.9.shop.example", "shop.example"),
        (
            {"5.6.7.8.9.shop.example": DMARC},
            "1.2.3.4.5.6.7.8.9.shop.example",
            "5.6.7.8.9.shop.example",
        ),
        ({"4.5.6.7.8.9.shop.example": DMARC}, "1.2.3.4.5.6.7.8.9.shop.example", None),
        ({}, "a.shop.example", None),
    ],
)
def test_a_domain_without_dmarc_takes_that_of_its_organization(zone, records, domain, expected):
    for name, text in records.items():
        zone["TXT", f"_dmarc.{name}"] = [text]

    [check] = dns_check.check([Record("TXT", f"_dmarc.{domain}", DMARC, "DMARC")])

    assert check.result == (Result.FOUND if expected else Result.MISSING)
    assert not expected or check.note.startswith(f"Inherited from {expected}.")


def test_a_domain_above_that_does_not_answer_is_no_missing_dmarc(zone):
    zone["TXT", "_dmarc.shop.example"] = ["broken"]

    [check] = dns_check.check([Record("TXT", "_dmarc.mail.shop.example", DMARC, "DMARC")])

    assert check.result == Result.SILENT


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("v=DMARC1; p=reject; pct=50", "RFC 9989 has removed pct"),
        ("v=DMARC1; p=reject; t=y", "t=y"),
        ("v=DMARC1; p=reject; aspf=s", "aspf=s"),
        ("v=DMARC1; p=reject; adkim=x", "ignore the value of adkim"),
        ("v=DMARC1; p=x; rua=mailto:a@shop.example", "take it for p=none"),
        ("v=DMARC1; p=x", "ignore the record"),
    ],
)
def test_what_receivers_make_of_a_dmarc_record_is_said(zone, text, note):
    zone["TXT", DMARC_RECORD.name] = [text]

    [check] = dns_check.check([DMARC_RECORD])

    assert note in check.note


@pytest.mark.parametrize(
    ("included", "result"),
    [
        (["v=spf1 include:amazonses.com -all"], Result.FOUND),
        (["v=spf1 -include:amazonses.com -all"], Result.DIFFERS),
        (["v=spf1 ip4:192.0.2.1 -all"], Result.DIFFERS),
        (["v=spf1 include:_spf.shop.example -all"], Result.DIFFERS),
        (["v=spf1 include:amazonses.com" + " mx" * 9], Result.DIFFERS),
        ([], Result.DIFFERS),
        (["broken"], Result.SILENT),
    ],
)
@pytest.mark.parametrize("term", ["include:", "redirect="])
def test_what_spf_includes_is_followed(zone, term, included, result):
    zone["TXT", DOMAIN] = [f"v=spf1 mx {term}_spf.shop.example"]
    zone["TXT", "_spf.shop.example"] = included

    [check] = dns_check.check([SPF_RECORD])

    assert check.result == result


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
