"""Stage a 3 a.m. incident on a development machine: dead letters of four causes among real traffic.

Nothing here is pretended: real orders go to addresses that SES does not know, and a warehouse that is out of order puts
real messages into the queue. A consumer must run. What it makes of them, staff drain in the console.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from emails.identities import answers, identities, status_history
from orders import services
from orders.models import Order, Product
from queues.aws import sqs
from queues.aws.sqs import Outgoing
from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from queues.uuid7 import uuid7

ALIAS = "orders"
# The shares of the causes among a hundred dead letters.
UNVERIFIED, UNKNOWN, WRONG = 60, 20, 10
# The domains of the orders' addresses, with their shares of ten.
DOMAINS = {"acme.example": 5, "globex.example": 3, "initech.example": 1, "umbrella.example": 1}
# Its address is verified in the local SES, so its emails go out while the others do not.
REGULAR = ("Ada Lovelace", "ada@example.com")
SHIPPED = "order.shipped.v1"
_FIRST = ("Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Dennis", "Radia", "Ken")
_LAST = ("Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Ritchie", "Perlman")
_seeds = itertools.count(1)


def stage(count: int) -> Iterator[str]:
    """Cause this many dead letters, and say after each part what was done. Raises QueueUnavailable or IdentityError."""
    forget_identities()
    refused, unknown, wrong = (count * share // 100 for share in (UNVERIFIED, UNKNOWN, WRONG))
    order = place_regular_order()
    for number, address in zip(range(refused), _addresses(), strict=False):
        _place(*address, seed=number)
    yield f"{refused} orders were placed with addresses that SES does not know"
    sample = json.loads(OutboxEvent.objects.get(subject=order.number, type="order.placed.v1").body)
    _send(_shipped(sample, number) for number in range(unknown))
    yield f"{unknown} events of a new type, {SHIPPED}, were sent by the warehouse"
    _send(_without_at_sign(sample, number) for number in range(wrong))
    yield f"{wrong} orders with a wrong address were sent by the warehouse"
    _send("warehouse: heartbeat" for _ in range(count - refused - unknown - wrong))
    yield f"{count - refused - unknown - wrong} messages that are no events were sent by the warehouse"


def place_regular_order() -> Order:
    """Place an order whose email goes out."""
    return _place(*REGULAR, seed=next(_seeds))


def waiting() -> int:
    """Count the dead letters that wait for a person."""
    return DeadLetter.objects.waiting().count()


def end() -> int:
    """Discard what still waits, and forget the verified identities; returns how many dead letters were discarded."""
    forget_identities()
    return decisions.discard(DeadLetter.objects.waiting())


def forget_identities() -> None:
    """Delete the identities of the incident's domains from SES, so that it can be staged again."""
    names = [each.name for each in identities.page().identities if each.domain in DOMAINS]
    for name in names:
        identities.delete(name)
        status_history.forget(name)
    answers.forget()


def _addresses() -> Iterator[tuple[str, str]]:
    """Yield names and addresses of customers, the domains by their shares."""
    domains = itertools.cycle([name for name, share in DOMAINS.items() for _ in range(share)])
    for number, domain in enumerate(domains):
        first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        yield f"{first} {last}", f"{first}.{last}.{number}@{domain}".lower()


def _place(name: str, email: str, *, seed: int) -> Order:
    products = list(Product.objects.filter(is_active=True).order_by("sku"))
    chosen = {products[seed % len(products)], products[(3 * seed + 1) % len(products)]}
    return services.place_order(
        lines=[(product, 1 + seed % 2) for product in sorted(chosen, key=lambda one: one.sku)],
        customer_name=name,
        customer_email=email,
        shipping_name=name,
        shipping_street="12 St James's Square",
        shipping_postal_code="SW1Y 4JH",
        shipping_city="London",
        shipping_country="United Kingdom",
    )


def _shipped(sample: dict[str, Any], number: int) -> str:
    data = {"order_number": sample["subject"], "parcel": f"PARCEL-{number:05}"}
    return _envelope(sample, number, type=SHIPPED, source="/warehouse", data=data)


def _without_at_sign(sample: dict[str, Any], number: int) -> str:
    name, address = next(itertools.islice(_addresses(), number, None))
    wrong = {"name": name, "email": address.replace("@", " at ")}
    return _envelope(sample, number, data=sample["data"] | {"customer": wrong})


def _envelope(sample: dict[str, Any], number: int, **changes: Any) -> str:
    named = {"id": str(uuid7()), "subject": f"WH-{number:05}", "partitionkey": ""}
    return json.dumps(sample | named | changes)


def _send(bodies: Iterable[str]) -> None:
    queue = sqs.queue(ALIAS)
    messages = (Outgoing(str(number), body) for number, body in enumerate(bodies))
    for batch in sqs.batches(messages):
        queue.send_batch(batch)
