"""The messages of the benchmark: orders of four lines, each with a number and a recipient of its own."""

from __future__ import annotations

import json
import uuid
from typing import Any

_LINES = [
    ("MUG-01", "Blue mug", 2, 1250),
    ("TEA-07", "Darjeeling first flush, 250 g", 1, 1890),
    ("LMP-02", "Brass reading lamp with a linen shade", 1, 11900),
    ("PEN-03", "Fountain pen, medium nib", 3, 2400),
]


def order_number(number: int) -> str:
    """Return the number of an order; the stand-in counts by it what was lost or came twice."""
    return f"ORD-{number:07}"


def event_id(number: int) -> uuid.UUID:
    """Return an id that sorts as the number does, as UUIDs of version 7 sort by time."""
    return uuid.UUID(int=(0x01950000_0000_7000_8000 << 48) + number)


def envelope(number: int) -> str:
    """A message body, as any producer may write it."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(event_id(number)),
            "source": "/orders",
            "type": "order.placed.v1",
            "subject": order_number(number),
            "time": "2026-11-22T10:00:00Z",
            "datacontenttype": "application/json",
            "partitionkey": f"customer-{number}",
            "data": order(number),
        }
    )


def order(number: int) -> dict[str, Any]:
    """The data of ``order.placed.v1``."""
    lines = [
        {
            "sku": sku,
            "name": name,
            "quantity": quantity,
            "unit_price_cents": cents,
            "total_cents": quantity * cents,
        }
        for sku, name, quantity, cents in _LINES
    ]
    return {
        "order_number": order_number(number),
        "placed_at": "2026-11-22T10:00:00Z",
        "customer": {"name": f"Zoë Müller {number}", "email": f"zoe{number}@example.com"},
        "shipping_address": {
            "name": f"Zoë Müller {number}",
            "street": "12 St James's Square",
            "postal_code": "SW1Y 4JH",
            "city": "London",
            "country": "United Kingdom",
        },
        "lines": lines,
        "total_cents": sum(line["total_cents"] for line in lines),
        "currency": "EUR",
        "order_url": f"http://127.0.0.1:8000/orders/{order_number(number)}/?key=sample",
    }
