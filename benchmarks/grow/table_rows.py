"""Fill the tables as a platform that has run for long would have.

``python -m benchmarks.grow.table_rows KIND FIRST COUNT``.

``pending``, ``published`` and ``handled`` make outbox rows in that state, ``sent`` handled ones with the notification
and the attempt of each. ``recorded`` makes pending ones as the product does: one by one, each in its own transaction.
The environment names the database.
"""

from __future__ import annotations

import argparse
from typing import Any

import django
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone

from benchmarks.compare.order_events import envelope, event_id, order, order_number

# What differs from row to row, for a row's number n; all else is as in the first row.
_VARIES = {
    "sqlite": {
        "uuid": f"printf('{event_id(0).hex[:20]}%012x', n)",
        "subject": "printf('ORD-%07d', n)",
        "numbers": "WITH RECURSIVE numbers(n) AS "
        "(SELECT {0} WHERE {0} <= {1} UNION ALL SELECT n + 1 FROM numbers WHERE n < {1}) ",
    },
    "postgresql": {
        "uuid": f"('{event_id(0).hex[:20]}' || lpad(to_hex(n), 12, '0'))::uuid",
        "subject": "'ORD-' || lpad(n::text, 7, '0')",
        "numbers": "WITH numbers AS (SELECT generate_series({0}, {1}) AS n) ",
    },
}


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["recorded", "pending", "published", "handled", "sent"])
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--queue", default="orders", help="its alias")
    parser.add_argument("--groups", type=int, default=1_000_000, help="how many there are")
    options = parser.parse_args()
    django.setup()
    if options.kind == "recorded":
        record(range(options.first, options.first + options.count))
        return
    fill(**vars(options))


def record(numbers: range) -> None:
    """Record the events of these orders, each in a transaction of its own."""
    from queues import outbox
    from queues.events.envelope import Event

    for number in numbers:
        event = Event.from_json(envelope(number))
        with transaction.atomic():
            outbox.record(event)


def fill(
    *, kind: str, first: int, count: int, queue: str = "orders", groups: int = 1_000_000
) -> None:
    """The events of these numbers; ``first`` must be none that is there already."""
    state = "handled" if kind == "sent" else kind
    numbers = range(first, first + count)
    _write("queues.OutboxEvent", _outbox_event(first, state=state, queue=queue), numbers, groups)
    if kind == "sent":
        _write("emails.Notification", _notification(first), numbers, groups)
        _write("emails.Attempt", _attempt(first), numbers, groups)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _write(name: str, fields: dict[str, Any], numbers: range, groups: int) -> None:
    """The first row by its model, the others from it by the database: a million by the ORM would take far longer."""
    model: Any = apps.get_model(name)
    first = model.objects.create(**fields)
    varies = _VARIES[connection.vendor]
    expressions = {
        "event_id": varies["uuid"],
        "deduplication_id": varies["uuid"],
        "notification_id": varies["uuid"],
        "subject": varies["subject"],
        "group": f"'customer-' || (n - n / {groups} * {groups})",
        "recipient": "'zoe' || n || '@example.com'",
        "provider_message_id": "'sent-' || n",
    }
    if name == "emails.Notification":
        expressions["id"] = varies["uuid"]
    columns = [
        field.column
        for field in model._meta.concrete_fields
        if field.column != "id" or "id" in expressions
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(expressions.get(column, f'"{column}"') for column in columns)
    others = varies["numbers"].format(numbers[0] + 1, numbers[-1])
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            # Names and expressions are those above.
            f"{others}INSERT INTO {table} ({names}) SELECT {values} "  # noqa: S608
            f"FROM numbers CROSS JOIN (SELECT * FROM {table} WHERE id = %s) AS first",
            [first.pk if connection.vendor == "postgresql" else getattr(first.pk, "hex", first.pk)],
        )


def _outbox_event(number: int, *, state: str, queue: str) -> dict[str, Any]:
    now = timezone.now()
    return {
        "event_id": event_id(number),
        "deduplication_id": event_id(number),
        "type": "order.placed.v1",
        "subject": order_number(number),
        "queue": queue,
        "group": "customer-0",
        "body": envelope(number),
        "state": state,
        "available_at": now,
        "published_at": None if state == "pending" else now,
        "handled_at": now if state == "handled" else None,
    }


def _notification(number: int) -> dict[str, Any]:
    data = order(number)
    return {
        # Any key that is unique: that of the event is at hand.
        "id": event_id(number),
        "event_id": event_id(number),
        "event_type": "order.placed.v1",
        "event_source": "/orders",
        "subject": order_number(number),
        "template": "order_confirmation",
        "recipient": data["customer"]["email"],
        "context": data,
        "state": "sent",
        "attempts": 1,
        "provider_message_id": f"sent-{number}",
        "next_at": timezone.now(),
        "sent_at": timezone.now(),
    }


def _attempt(number: int) -> dict[str, Any]:
    return {
        "notification_id": event_id(number),
        "number": 1,
        "outcome": "accepted",
        "provider_message_id": f"sent-{number}",
        "started_at": timezone.now(),
        "finished_at": timezone.now(),
    }


if __name__ == "__main__":
    main()
