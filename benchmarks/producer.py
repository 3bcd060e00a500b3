"""Place orders and post transactions at a steady rate, and write each into a ledger once it is committed.

It may be killed at any moment. The next one asks what became of what was begun, as a customer does who sends an
order again with the same key, and goes on from there.
"""

from __future__ import annotations

import argparse
import random
import time
import uuid
from decimal import Decimal
from pathlib import Path

import django

django.setup()

from benchmarks.aws_stub.ses import REFUSED_DOMAIN  # noqa: E402  # models need Django set up
from benchmarks.ledger import Fact, Ledger  # noqa: E402
from orders import services  # noqa: E402
from orders.models import BankAccount, Product, Transaction  # noqa: E402

ADDRESS = {
    "customer_name": "Ada Lovelace",
    "shipping_name": "Ada Lovelace",
    "shipping_street": "12 St James's Square",
    "shipping_postal_code": "SW1Y 4JH",
    "shipping_city": "London",
    "shipping_country": "United Kingdom",
}


def main() -> None:
    """Ends when ``--count`` facts are committed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="facts a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--transactions", type=float, default=0.25, help="share of all facts")
    parser.add_argument("--refused", type=float, default=0.01, help="share that SES refuses")
    options = parser.parse_args()
    ledger = Ledger(options.ledger)
    product, _ = Product.objects.get_or_create(
        sku="SOAK", defaults={"name": "Brass bell", "price": Decimal("12.50")}
    )
    for fact in ledger.begun():
        _commit(ledger, fact, product, options.seed)
    began, first = time.monotonic(), ledger.last() + 1
    for n in range(first, options.count + 1):
        time.sleep(max(0.0, began + (n - first) / options.rate - time.monotonic()))
        fact = plan(n, options)
        ledger.add(fact)
        _commit(ledger, fact, product, options.seed)
    print(f"committed {options.count}")


def plan(n: int, options: argparse.Namespace) -> Fact:
    """The nth fact: the same for the same seed."""
    dice = random.Random(f"{options.seed}-{n}")  # noqa: S311  # no secret
    if dice.random() < options.transactions:
        account = dice.randrange(options.accounts)
        return Fact(n, recipient=f"holder-{account}@example.com", account=f"GB{account:020}")
    domain = REFUSED_DOMAIN if dice.random() < options.refused else "example.com"
    return Fact(n, recipient=f"customer-{n}@{domain}")


def _commit(ledger: Ledger, fact: Fact, product: Product, seed: int) -> None:
    number = _post(fact) if fact.account else _place(fact, product, seed)
    ledger.add(Fact(fact.n, fact.recipient, fact.account, number))


def _place(fact: Fact, product: Product, seed: int) -> str:
    order = services.place_order(
        idempotency_key=uuid.uuid5(uuid.NAMESPACE_OID, f"soak-{seed}-{fact.n}"),
        lines=[(product, 2)],
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
