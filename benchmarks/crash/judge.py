"""Compare what was committed with what SES accepted: lost, doubled, invented, out of order.

Both sides come from files that our database has no part in: the producer's ledger and the acceptances of the stub.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.aws_stub.acceptances import Acceptance
from benchmarks.aws_stub.ses import REFUSED_DOMAIN
from benchmarks.crash.ledger import Fact

SIMULATOR = "@simulator.amazonses.com"


@dataclass(frozen=True)
class Verdict:
    """Numbers of orders and transactions. ``unexpected_dead`` are dead letters that SES did not refuse."""

    committed: int
    accepted: int
    lost: list[str]
    duplicates: list[str]
    phantoms: list[str]
    out_of_order: list[str]
    unexpected_dead: list[str]

    @property
    def is_clean(self) -> bool:
        """Every email owed was accepted once, in its account's order, and no other was."""
        return not (
            self.lost
            or self.duplicates
            or self.phantoms
            or self.out_of_order
            or self.unexpected_dead
        )


def judge(
    committed: Sequence[Fact],
    accepted: Iterable[Acceptance],
    *,
    in_doubt: Collection[str] = (),
    dead: Collection[str] = (),
) -> Verdict:
    """``in_doubt`` and ``dead`` are numbers that wait for a person: neither lost nor sent."""
    mails = [mail for mail in accepted if not mail.recipient.endswith(SIMULATOR)]
    counts = Counter(mail.number for mail in mails)
    recipients = {fact.number: fact.recipient for fact in committed}
    expected = {
        number
        for number, recipient in recipients.items()
        if not recipient.endswith(f"@{REFUSED_DOMAIN}")
    }
    return Verdict(
        committed=len(committed),
        accepted=len(mails),
        lost=sorted(expected - counts.keys() - set(in_doubt) - set(dead)),
        duplicates=sorted(number for number, count in counts.items() if count > 1),
        phantoms=sorted(
            mail.number or mail.message_id
            for mail in mails
            if recipients.get(mail.number) != mail.recipient
        ),
        out_of_order=_out_of_order(committed, mails),
        unexpected_dead=sorted(set(dead) & expected),
    )


def read_acceptances(path: Path) -> list[Acceptance]:
    """Read the acceptances in the order in which SES made them."""
    return [Acceptance(**json.loads(line)) for line in path.read_text().splitlines()]


def _out_of_order(committed: Iterable[Fact], mails: Iterable[Acceptance]) -> list[str]:
    """Accepted after a later one of the same account; a double counts once, where it came first."""
    accounts = {fact.number: fact.account for fact in committed if fact.account}
    places = {fact.number: place for place, fact in enumerate(committed)}
    newest: defaultdict[str, int] = defaultdict(lambda: -1)
    late = []
    for number in dict.fromkeys(mail.number for mail in mails if mail.number in accounts):
        if places[number] < newest[accounts[number]]:
            late.append(number)
        newest[accounts[number]] = max(newest[accounts[number]], places[number])
    return sorted(late)
