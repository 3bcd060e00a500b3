"""Show bank accounts and transactions in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from orders.models import BankAccount, Transaction
from orders.money import formatted
from orders.pages.personal import EmailColumnAdmin, FactAdmin, emails_link, in_list, on_page
from queues.pages.listing.time_range import CreatedFilter


@admin.register(BankAccount)
class BankAccountAdmin(EmailColumnAdmin):
    email_outcome = in_list("last email")
    email_here = on_page("last email")
    address_field = address_column = "holder_email"
    number_column = "number"
    list_display = ["number", "holder_name", "holder_email", "email_outcome", "balance_label"]
    list_filter = ["currency"]
    nothing_yet = "Add an account, and its transactions can be posted."
    search_fields = ["number", "holder_name", "holder_email", "holder_email_key"]
    ordering = ["number"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: BankAccount | None = None
    ) -> list[str]:
        return ["number", "currency", "balance_label", "email_here"] if obj else ["balance_label"]

    def get_fields(self, request: HttpRequest, obj: BankAccount | None = None) -> list[str]:
        fields = ["number", "holder_name", "holder_email", "locale", "currency", "balance_label"]
        return [*fields, "email_here"] if obj else fields

    @admin.display(description="balance", ordering="balance")
    def balance_label(self, account: BankAccount) -> str:
        return formatted(account.balance, account.currency)


class TransactionForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    def clean_account(self) -> BankAccount:
        """Lock the account until it is saved, so that what is checked here still holds then."""
        chosen: BankAccount = self.cleaned_data["account"]
        return BankAccount.objects.select_for_update().get(pk=chosen.pk)


@admin.register(Transaction)
class TransactionAdmin(FactAdmin):
    email_outcome = in_list("alert")
    email_here = on_page("alert")
    form = TransactionForm
    subject_field = number_column = "reference"
    address_column = "account__holder_email"
    list_display = [
        "reference",
        "account",
        "kind",
        "amount_label",
        "balance_label",
        "email_outcome",
        "posted_at",
    ]
    list_filter = [("posted_at", CreatedFilter), "kind", "currency"]
    search_fields = ["reference", "account__number", "account__holder_name", "description"]
    nothing_yet = "A transaction is listed here as soon as one is posted, here or through the API."
    ordering = ["-id"]
    list_select_related = ["account"]
    autocomplete_fields = ["account"]
    readonly_fields = [
        "reference",
        "amount_label",
        "balance_label",
        "posted_at",
        "email_here",
        "emails",
    ]

    def get_fields(self, request: HttpRequest, obj: Transaction | None = None) -> list[Any]:
        if obj is None:
            return ["account", "kind", "amount", "description"]
        return [
            ("reference", "posted_at"),
            ("email_here", "emails"),
            "account",
            ("kind", "amount_label", "balance_label"),
            "description",
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        rows: QuerySet[Transaction] = super().get_queryset(request)
        return rows.select_related("account")

    @admin.display(description="amount", ordering="amount")
    def amount_label(self, posted: Transaction) -> str:
        return formatted(posted.amount, posted.currency)

    @admin.display(description="balance after", ordering="balance_after")
    def balance_label(self, posted: Transaction) -> str:
        return formatted(posted.balance_after, posted.currency)

    @admin.display(description="emails")
    def emails(self, posted: Transaction) -> SafeString:
        return emails_link(posted.reference, posted.account.holder_email)
