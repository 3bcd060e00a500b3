import dataclasses

import pytest

from benchmarks.aws_stub.acceptances import Acceptance, Acceptances
from benchmarks.crash.judge import judge, read_acceptances
from benchmarks.crash.ledger import Fact, Ledger

FACTS = [
    Fact(1, "customer-1@example.com", number="ORD-000001"),
    Fact(2, "holder-7@example.com", account="7", number="TXN-000001"),
    Fact(3, "holder-7@example.com", account="7", number="TXN-000002"),
    Fact(4, "holder-8@example.com", account="8", number="TXN-000003"),
    Fact(5, "customer-5@refused.example", number="ORD-000002"),
]


def mail(fact, **fields):
    return Acceptance(
        time=0.0,
        message_id=f"ses-{fact.n}",
        recipient=fact.recipient,
        number=fact.number,
        nid="",
        att="1",
        **fields,
    )


@pytest.fixture
def mails():
    return [mail(fact) for fact in FACTS[:4]]


def test_every_email_once_and_in_order_is_clean(mails):
    verdict = judge(FACTS, mails, dead=["ORD-000002"])

    assert verdict.is_clean
    assert (verdict.committed, verdict.accepted) == (5, 4)


def test_email_that_was_not_accepted_is_lost(mails):
    verdict = judge(FACTS, mails[1:])

    assert verdict.lost == ["ORD-000001"]
    assert not verdict.is_clean


def test_email_that_waits_for_a_person_is_not_lost(mails):
    assert judge(FACTS, mails[1:], in_doubt=["ORD-000001"]).is_clean


def test_email_accepted_twice_is_a_duplicate(mails):
    verdict = judge(FACTS, [*mails, mails[0]])

    assert verdict.duplicates == ["ORD-000001"]
    assert not verdict.is_clean


def test_email_without_a_committed_order_is_a_phantom(mails):
    verdict = judge(FACTS, [*mails, mail(Fact(9, "x@example.com", number="ORD-000009"))])

    assert verdict.phantoms == ["ORD-000009"]
    assert not verdict.is_clean


def test_email_to_somebody_else_is_a_phantom(mails):
    mails[0] = dataclasses.replace(mails[0], recipient="eve@example.com")

    assert judge(FACTS, mails).phantoms == ["ORD-000001"]


def test_canary_is_no_phantom(mails):
    canary = mail(Fact(0, "success@simulator.amazonses.com"))

    assert judge(FACTS, [*mails, canary]).is_clean


def test_email_after_a_later_one_of_its_account_is_out_of_order(mails):
    mails[1], mails[2] = mails[2], mails[1]

    verdict = judge(FACTS, mails)

    assert verdict.out_of_order == ["TXN-000001"]
    assert not verdict.is_clean


def test_accounts_may_overtake_each_other(mails):
    assert judge(FACTS, [mails[3], *mails[:3]]).is_clean


def test_dead_letter_that_ses_did_not_refuse_is_unexpected(mails):
    verdict = judge(FACTS, mails[1:], dead=["ORD-000001", "ORD-000002"])

    assert verdict.unexpected_dead == ["ORD-000001"]
    assert not verdict.is_clean


def test_files_are_read_as_they_were_written(tmp_path):
    raw = (
        b"Subject: Your order ORD-000017 is confirmed\r\nTo: ada@example.com\r\n"
        b"X-SES-MESSAGE-TAGS: nid=11111111-1111-1111-1111-111111111111, att=2\r\n\r\nthanks"
    )
    Acceptances(tmp_path / "accepted").add(raw, message_id="ses-1")

    [read] = read_acceptances(tmp_path / "accepted")

    assert (read.number, read.recipient, read.att) == ("ORD-000017", "ada@example.com", "2")
    assert read.nid == "11111111-1111-1111-1111-111111111111"


def test_ledger_tells_what_was_begun_last_and_not_committed(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(Fact(1, "a@example.com"))
    ledger.add(Fact(1, "a@example.com", number="ORD-000001"))
    ledger.add(Fact(2, "b@example.com"))

    assert [fact.n for fact in ledger.committed()] == [1]
    assert ledger.count() == 1
    assert ledger.last() == Fact(2, "b@example.com")


def test_ledger_finds_the_last_of_many(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    for n in range(1, 100):
        ledger.add(Fact(n, "a@example.com", number=f"ORD-{n:06}"))

    assert ledger.last() == Fact(99, "a@example.com", number="ORD-000099")


def test_empty_ledger_has_no_last(tmp_path):
    assert Ledger(tmp_path / "ledger").last() is None
