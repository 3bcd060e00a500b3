"""Find the order, transaction or customer that an event's subject names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from orders.models import Customer, Order, Transaction


@dataclass(frozen=True)
class Subject:
    """The row that a subject names, its kind, and when it was saved."""

    kind: str
    row: Order | Transaction | Customer
    at: datetime

    @property
    def address(self) -> str:
        """The address of the row's page in the admin."""
        return reverse(f"admin:orders_{self.row._meta.model_name}_change", args=[self.row.pk])


def of_subject(subject: str) -> Subject | None:
    """Return the row of ``ORD-000123``, ``TXN-000123`` or ``customer-123``; None if there is none."""
    prefix, _, number = subject.partition("-")
    match prefix:
        case "ORD":
            order = Order.objects.filter(number=subject).first()
            return Subject("Order", order, order.placed_at) if order else None
        case "TXN":
            posted = Transaction.objects.filter(reference=subject).first()
            return Subject("Transaction", posted, posted.posted_at) if posted else None
        case "customer" if number.isdecimal() and number.isascii() and len(number) < 19:
            customer = Customer.objects.filter(pk=int(number)).first()
            return Subject("Customer", customer, customer.registered_at) if customer else None
    return None
