"""Place orders and post transactions at a steady rate, and write each into a ledger once it is committed.

It may be killed at any moment. The next one asks what became of what was begun, as a customer does who sends an
order again with the same key, and goes on from there.
"""

from __future__ import annotations

import argparse
import random
import signal
import threading
import time
import uuid
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.db import DatabaseError, close_old_connections

django.setup()

from benchmarks.aws_stub.ses import REFUSED_DOMAIN  # noqa: E402  # models need Django set up
from benchmarks.crash.ledger import Fact, Ledger  # noqa: E402
from orders import services  # noqa: E402
from orders.models import BankAccount, Product, Transaction  # noqa: E402

ADDRESS: dict[str, Any] = {
    "customer_name": "Ada Lovelace",
    "shipping_name": "Ada Lovelace",
    "shipping_street": "12 St James's Square",
    "shipping_postal_code": "SW1Y 4JH",
    "shipping_city": "London",
    "shipping_country": "United Kingdom",
}


# While the database does not answer.
AGAIN_SECONDS = 0.5
_stopping = threading.Event()


def main() -> None:
    """Ends when its share of ``--count`` facts is committed, or after the one at hand when it gets SIGTERM."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, _stop)
    ledger = Ledger(options.ledger)
    last = ledger.last()
    if last and not last.number:
        _commit(ledger, last, options.seed)
    first = last.n + options.producers if last else options.number + 1
    for n in range(first, options.count + 1, options.producers):
        time.sleep(max(0.0, options.began + n / options.rate - time.time()))
        if _stopping.is_set():
            return
        fact = plan(n, options)
        ledger.add(fact)
        _commit(ledger, fact, options.seed)
    print(f"committed up to {options.count}")


def _stop(*args: object) -> None:
    _stopping.set()


def plan(n: int, options: argparse.Namespace) -> Fact:
    """The nth fact: the same for the same seed. No two producers share an account, or its order would be unknown."""
    dice = random.Random(f"{options.seed}-{n}")  # noqa: S311  # no secret
    if dice.random() < options.transactions:
        mine = range(options.number, options.accounts, options.producers)
        account = dice.choice(mine)
        return Fact(n, recipient=f"holder-{account}@example.com", account=f"GB{account:020}")
    domain = REFUSED_DOMAIN if dice.random() < options.refused else "example.com"
    return Fact(n, recipient=f"customer-{n}@{domain}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True, help="of all producers together")
    parser.add_argument("--rate", type=float, required=True, help="facts a second, of all together")
    parser.add_argument(
        "--began", type=float, default=time.time(), help="Unix time; who is late catches up"
    )
    parser.add_argument("--number", type=int, default=0, help="which producer this is, from 0")
    parser.add_argument("--producers", type=int, default=1, help="how many there are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--transactions", type=float, default=0.25, help="share of all facts")
    parser.add_argument("--refused", type=float, default=0.01, help="share that SES refuses")
    return parser


def _commit(ledger: Ledger, fact: Fact, seed: int) -> None:
    """Try until the fact is known to be committed, as a customer who sends the form again after an error."""
    while True:
        try:
            number = _post(fact) if fact.account else _place(fact, seed)
        except DatabaseError as exc:
            print(f"not committed {fact.n}: {exc}", flush=True)
            close_old_connections()
            time.sleep(AGAIN_SECONDS)
        else:
            return ledger.add(Fact(fact.n, fact.recipient, fact.account, number))


@cache
def _product() -> Product:
    product, _ = Product.objects.get_or_create(
        sku="SOAK", defaults={"name": "Brass bell", "price": Decimal("12.50")}
    )
    return product


def _place(fact: Fact, seed: int) -> str:
    order = services.place_order(
        idempotency_key=uuid.uuid5(uuid.NAMESPACE_OID, f"soak-{seed}-{fact.n}"),
        lines=[(_product(), 2)],
        customer_email=fact.recipient,
        **ADDRESS,
    )
    return order.number


def _post(fact: Fact) -> str:
    """A transaction has no key of its own; its description tells it apart."""
    description = f"soak {fact.n}"
    if posted := Transaction.objects.filter(description=description).first():
        return posted.reference
    BankAccount.objects.get_or_create(
        number=fact.account,
        defaults={"holder_name": "Ada Lovelace", "holder_email": fact.recipient},
    )
    posted = services.post_transaction(
        account_number=fact.account,
        kind="deposit",
        amount=Decimal("150.00"),
        description=description,
    )
    return posted.reference


if __name__ == "__main__":
    main()
