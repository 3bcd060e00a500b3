"""Store customers: who registered, whether the address is confirmed, and how many links were sent to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from orders.events import CustomerLinkRequested, CustomerRegistered, Person
from orders.models.locales import LocaleField
from orders.validators import validate_name
from queues import addresses
from queues.events.envelope import Event
from queues.models.addresses import AddressField, KeyField

# Limits on what a stranger can make us send to somebody else's address.
RESEND_SECONDS = 60
LINKS_A_DAY = 5

_KNOWN = "There is a customer with this email address already."


class CustomerQuerySet(models.QuerySet["Customer"]):
    """A queryset that finds customers by their address, however it is spelled."""

    def with_email(self, email: str) -> Customer | None:
        """Return the customer with this address; None if there is none."""
        # Raw SQL, as it is faster: most orders are by people who never registered, and need only this query.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM orders_customer WHERE COALESCE(email_key, LOWER(email)) = %s",
                [addresses.key(email)],
            )
            found = cursor.fetchall()
        return self.filter(pk=found[0][0]).first() if found else None


class Customer(models.Model):
    """A person who registered, or whom staff entered.

    Saving one records no event: staff may enter a customer without any email. ``services.register`` and
    ``services.resend_verification`` record it.
    """

    name = models.CharField(max_length=200, validators=[validate_name])
    email = AddressField()
    email_key = KeyField()
    locale = LocaleField()
    email_verified_at = models.DateTimeField(null=True, blank=True)
    verification_sent_at = models.DateTimeField(null=True, editable=False)
    # Links of any kind sent to the address since ``links_since``; after a day the count starts again.
    links_sent = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    links_since = models.DateTimeField(null=True, editable=False)
    # How many links to their orders were used; each link works once.
    sign_ins = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="one_customer_per_email",
                violation_error_message=_KNOWN,
            ),
            models.UniqueConstraint(
                Coalesce("email_key", Lower("email")), name="one_customer_per_email_key"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the customer; a new address is unconfirmed, whoever enters it."""
        if not self._state.adding and self._has_new_email():
            self.email_verified_at = self.verification_sent_at = None
            if (names := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*names, "email_verified_at", "verification_sent_at"}
        if "email" in (kwargs.get("update_fields") or ()):
            kwargs["update_fields"] = {*kwargs["update_fields"], "email_key"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse the address of another customer; the form's own check knows no other spelling of it."""
        known = Customer.objects.with_email(self.email or "")
        if known and known.pk != self.pk:
            raise ValidationError({"email": _KNOWN})

    def _has_new_email(self) -> bool:
        known = Customer.objects.with_email(self.email)
        return known is None or known.pk != self.pk

    @property
    def subject(self) -> str:
        """The subject of this customer's events."""
        return f"customer-{self.pk}"

    def confirm_email(self) -> bool:
        """Mark the address as confirmed; return False if it already was."""
        now = timezone.now()
        rows = Customer.objects.filter(pk=self.pk, email_verified_at=None)
        return rows.update(email_verified_at=now) == 1

    def take_link_slot(self, *, confirmed: bool) -> bool:
        """Take the right to send one link; return False if there is none.

        There is none if the address is not ``confirmed`` as given, got a link within ``RESEND_SECONDS``, or got
        ``LINKS_A_DAY`` links within a day.
        """
        now = timezone.now()
        is_new_day = Q(links_since=None) | Q(links_since__lte=now - timedelta(days=1))
        rows = Customer.objects.filter(
            Q(verification_sent_at=None)
            | Q(verification_sent_at__lte=now - timedelta(seconds=RESEND_SECONDS)),
            is_new_day | Q(links_sent__lt=LINKS_A_DAY),
            pk=self.pk,
            email_verified_at__isnull=not confirmed,
        )
        return bool(
            rows.update(
                verification_sent_at=now,
                links_sent=Case(When(is_new_day, then=Value(1)), default=F("links_sent") + 1),
                links_since=Case(When(is_new_day, then=Value(now)), default=F("links_since")),
            )
        )

    def count_sign_in(self, number: int) -> bool:
        """Use up the link with this number; return False if it, or a newer one, was used."""
        rows = Customer.objects.filter(pk=self.pk, sign_ins=number)
        return rows.update(sign_ins=number + 1) == 1


def customer_registered(
    customer: Customer, *, verify_url: str, expires_at: datetime, locale: str = ""
) -> Event:
    """Make the event that asks a customer to confirm the address; without a locale it is in the customer's language."""
    data = CustomerRegistered(
        customer=Person(name=customer.name, email=customer.email),
        verify_url=verify_url,
        expires_at=expires_at,
        locale=locale or customer.locale,
    )
    return Event.of(data, subject=customer.subject, partition_key=customer.subject)


def customer_link_requested(
    customer: Customer, *, link_url: str, expires_at: datetime, locale: str = ""
) -> Event:
    """Make the event that sends a customer the link to their orders; the locale is as in ``customer_registered``."""
    data = CustomerLinkRequested(
        customer=Person(name=customer.name, email=customer.email),
        link_url=link_url,
        expires_at=expires_at,
        locale=locale or customer.locale,
    )
    return Event.of(data, subject=customer.subject, partition_key=customer.subject)
