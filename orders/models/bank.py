"""Store bank accounts, and the transactions that move their balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from orders.errors import BalanceTooLarge, CurrencyMismatch, Overdraft, Refused
from orders.events import Account, TransactionPosted
from orders.models.facts import Fact, FactQuerySet
from orders.models.locales import LocaleField
from orders.money import Currency, formatted, to_cents
from orders.validators import validate_name, validate_single_line
from queues import outbox
from queues.events.envelope import Event
from queues.models.addresses import AddressField, KeyField, with_address

CENT = Decimal("0.01")
# The largest amount that fits into the column.
MAX_BALANCE = Decimal("999999999999.99")


class BankAccountQuerySet(models.QuerySet["BankAccount"]):
    """A queryset that finds accounts by their holders."""

    def held_by(self, *emails: str) -> BankAccountQuerySet:
        """Return the accounts whose holder has one of these addresses, however they are spelled."""
        return with_address(self, "holder_email", *emails)


class BankAccount(models.Model):
    """An account; only transactions move its balance."""

    number = models.CharField(max_length=34, unique=True, validators=[validate_name])
    holder_name = models.CharField(max_length=200, validators=[validate_name])
    holder_email = AddressField()
    holder_email_key = KeyField()
    currency = models.CharField(max_length=3, choices=Currency, default=Currency.USD)
    locale = LocaleField()
    balance = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0.00"))

    objects = BankAccountQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(balance__gte=0), name="account_balance_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(currency__in=Currency.values), name="account_currency_known"
            ),
        ]
        indexes = [
            models.Index(Lower("holder_email"), name="account_holder_email"),
            models.Index(
                "holder_email_key",
                name="account_holder_email_key",
                condition=Q(holder_email_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number_masked} {self.holder_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save all but the balance, which may have moved since this row was read."""
        if not self._state.adding and kwargs.get("update_fields") is None:
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            kwargs["update_fields"] = names - {"balance"}
        super().save(*args, **kwargs)

    @property
    def number_masked(self) -> str:
        """The account number with only its last four digits: ``•••• 4821``."""
        return f"•••• {self.number[-4:]}"

    def balance_after(self, kind: str, amount: Decimal) -> Decimal:
        """Return the balance that a transaction would leave; raises Overdraft or BalanceTooLarge."""
        if kind == Transaction.Kind.DEPOSIT:
            if self.balance + amount > MAX_BALANCE:
                raise BalanceTooLarge(
                    f"An account holds at most {formatted(MAX_BALANCE, self.currency)}."
                )
            return self.balance + amount
        if amount > self.balance:
            raise Overdraft(
                f"The account holds {formatted(self.balance, self.currency)},"
                f" less than {formatted(amount, self.currency)}."
            )
        return self.balance - amount

    def move(self, difference: Decimal) -> None:
        """Move the balance; only ``Transaction.save`` may call it, under its lock."""
        BankAccount.objects.filter(pk=self.pk).update(balance=F("balance") + difference)
        self.balance += difference


class TransactionQuerySet(FactQuerySet["Transaction"]):
    """A read-only queryset of transactions."""


class Transaction(Fact):
    """A posted deposit or withdrawal.

    ``save()`` locks the account, moves its balance and records ``transaction.posted.v1``, all or none, so an
    account's events are recorded in the order of its balances.
    """

    class Kind(models.TextChoices):
        """The direction of the money: in or out."""

        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"

    reference = models.CharField(max_length=32, unique=True, editable=False)
    account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="transactions")
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.DecimalField(
        max_digits=12, decimal_places=2, validators=[MinValueValidator(CENT)]
    )
    # The account's currency. A caller may set it to insist on one.
    currency = models.CharField(max_length=3, choices=Currency, editable=False)
    balance_after = models.DecimalField(max_digits=14, decimal_places=2, editable=False)
    description = models.CharField(max_length=200, blank=True, validators=[validate_single_line])
    posted_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TransactionQuerySet.as_manager()

    class Meta(Fact.Meta):
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transaction_amount_positive"),
            models.CheckConstraint(
                condition=Q(balance_after__gte=0), name="transaction_balance_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["deposit", "withdrawal"]), name="transaction_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(currency__in=Currency.values), name="transaction_currency_known"
            ),
        ]

    def __str__(self) -> str:
        return self.reference or "a new transaction"

    def clean(self) -> None:
        """Refuse an amount that the account cannot take; the error is shown beside the amount."""
        if self.account_id is None or self.amount is None or self.kind not in self.Kind.values:
            return
        try:
            self.account.balance_after(self.kind, self.amount)
        except Refused as exc:
            raise ValidationError({"amount": str(exc)}) from exc

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Post the transaction; raises Refused or ValidationError. A second save raises Immutable."""
        self.refuse_change()
        with transaction.atomic():
            self.account = BankAccount.objects.select_for_update().get(pk=self.account_id)
            self._settle()
            self._insert_numbered(field="reference", prefix="TXN")
            outbox.record(transaction_posted(self))

    def _settle(self) -> None:
        """Check against the locked account, then move its balance."""
        if self.currency not in ("", self.account.currency):
            raise CurrencyMismatch(
                f"The account is kept in {self.account.currency}, not in {self.currency}."
            )
        self.currency = self.account.currency
        self.clean_fields(exclude=["reference", "balance_after"])
        self.balance_after = self.account.balance_after(self.kind, self.amount)
        self.account.move(self.balance_after - self.account.balance)


def transaction_posted(posted: Transaction) -> Event:
    """Make the event of a transaction that has its reference; the events of one account keep their order."""
    account = posted.account
    data = TransactionPosted(
        reference=posted.reference,
        kind="deposit" if posted.kind == posted.Kind.DEPOSIT else "withdrawal",
        amount_cents=to_cents(posted.amount),
        currency=Currency(posted.currency),
        balance_cents=to_cents(posted.balance_after),
        posted_at=posted.posted_at,
        description=posted.description,
        account=Account(
            number_masked=account.number_masked,
            holder_name=account.holder_name,
            holder_email=account.holder_email,
        ),
        locale=account.locale,
    )
    key = f"account-{account.pk}"
    return Event.of(data, subject=posted.reference, partition_key=key)
