from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from orders.errors import Refused
from orders.events import MAX_LINES
from orders.models import BankAccount, Customer, Order, OrderLine, Product, Transaction
from orders.money import formatted
from queues import masking
from queues.pages.listing.time_range import CreatedFilter, TimeFilter
from queues.pages.lists import ListAdmin


def _emails_link(subject: str) -> SafeString:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">Emails about {}</a>'
        ' · <a class="text-primary-600 dark:text-primary-500" href="{}">Timeline</a>',
        reverse("subject-emails", args=[subject]),
        subject,
        f"{reverse('search')}?{urlencode({'q': subject})}",
    )


class PersonalAdmin(ListAdmin):
    """Hide rows about people from users who may not see personal data: masked, nothing would be left to see."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and not masking.hides(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not masking.hides(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not masking.hides(request)


@admin.register(Product)
class ProductAdmin(ListAdmin):
    list_display = ["name", "sku", "price_label", "is_active"]
    list_filter = ["is_active", "currency"]
    nothing_yet = "Products that you add here can be ordered in the shop."
    search_fields = ["name", "sku"]
    ordering = ["name"]

    @admin.display(description="price", ordering="price")
    def price_label(self, product: Product) -> str:
        return formatted(product.price, product.currency)


@admin.register(Customer)
class CustomerAdmin(PersonalAdmin):
    list_display = ["name", "email", "email_verified_at", "registered_at"]
    list_filter = [
        ("registered_at", CreatedFilter),
        ("email_verified_at", admin.EmptyFieldListFilter),
    ]
    nothing_yet = "Customers register in the shop, or you add one."
    search_fields = ["name", "email", "email_key"]
    ordering = ["name"]
    readonly_fields = ["email_verified_at", "registered_at", "emails"]

    @admin.display(description="emails", empty_value="—")
    def emails(self, customer: Customer) -> SafeString | None:
        return _emails_link(customer.subject) if customer.pk else None


class FactAdmin(PersonalAdmin):
    """Show facts, which are saved once: staff may add one, nobody changes or deletes it."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OrderLineFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # not subscriptable at run time
    def initial_form_count(self) -> int:
        """Return 0 for a new order, which has no lines yet, whatever the browser sends."""
        return 0 if self.instance.pk is None else super().initial_form_count()

    def clean(self) -> None:
        super().clean()
        products = [form.cleaned_data.get("product") for form in self.forms if form.is_valid()]
        if len({product.currency for product in products if product}) > 1:
            raise ValidationError("All products of one order must be priced in one currency.")
        if self.is_valid() and not self.instance.pk:
            self._refuse_too_large()

    def _refuse_too_large(self) -> None:
        lines = [form.instance for form in self.forms if form.has_changed()]
        try:
            self.instance.refuse_if_too_large(lines)
        except Refused as exc:
            raise ValidationError(str(exc)) from exc
        except ValidationError:
            # The form itself says what is wrong with the order.
            return


class OrderLineInline(TabularInline):  # type: ignore[misc]  # Unfold has no types
    model = OrderLine
    formset = OrderLineFormSet
    min_num = 1
    max_num = MAX_LINES
    extra = 0
    can_delete = False
    hide_title = True

    def get_formset(self, request: HttpRequest, obj: Order | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, validate_min=True, validate_max=True, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Order | None = None) -> list[str]:
        return (
            ["sku", "name", "quantity", "unit_price", "total"] if obj else ["product", "quantity"]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Order | None = None) -> list[str]:
        return self.get_fields(request, obj) if obj else []

    def has_add_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return obj is None and bool(super().has_add_permission(request, obj))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "product":
            kwargs["queryset"] = Product.objects.filter(is_active=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Order)
class OrderAdmin(FactAdmin):
    list_display = ["number", "customer_name", "customer_email", "total_label", "placed_at"]
    list_filter = [("placed_at", TimeFilter), "currency"]
    search_fields = [
        "number",
        "customer_name",
        "customer_email",
        "customer_email_key",
        "shipping_city",
    ]
    nothing_yet = "Orders placed in the shop, through the API or here are listed with their emails."
    ordering = ["-id"]
    autocomplete_fields = ["customer"]
    readonly_fields = ["number", "total_label", "placed_at", "emails"]
    inlines = [OrderLineInline]

    def get_fieldsets(self, request: HttpRequest, obj: Order | None = None) -> list[Any]:
        order = ["customer", ("customer_name", "customer_email")]
        if obj:
            order = [("number", "total_label"), ("placed_at", "emails"), *order]
        address = [
            "shipping_name",
            "shipping_street",
            ("shipping_postal_code", "shipping_city"),
            "shipping_country",
        ]
        return [(None, {"fields": order}), ("Shipping address", {"fields": address})]

    def save_model(self, request: HttpRequest, obj: Order, form: Any, change: bool) -> None:
        """Save nothing yet: ``save_related`` saves the order together with its lines."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        form.instance.new_lines = [
            line for formset in formsets for line in formset.save(commit=False)
        ]
        form.instance.save()

    @admin.display(description="total", ordering="total")
    def total_label(self, order: Order) -> str:
        return formatted(order.total, order.currency)

    @admin.display(description="emails")
    def emails(self, order: Order) -> SafeString:
        return _emails_link(order.number)


@admin.register(BankAccount)
class BankAccountAdmin(PersonalAdmin):
    list_display = ["number", "holder_name", "holder_email", "balance_label"]
    list_filter = ["currency"]
    nothing_yet = "Add an account, and its transactions can be posted."
    search_fields = ["number", "holder_name", "holder_email", "holder_email_key"]
    ordering = ["number"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: BankAccount | None = None
    ) -> list[str]:
        return ["number", "currency", "balance_label"] if obj else ["balance_label"]

    def get_fields(self, request: HttpRequest, obj: BankAccount | None = None) -> list[str]:
        return ["number", "holder_name", "holder_email", "currency", "balance_label"]

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
    form = TransactionForm
    list_display = ["reference", "account", "kind", "amount_label", "balance_label", "posted_at"]
    list_filter = [("posted_at", CreatedFilter), "kind", "currency"]
    search_fields = ["reference", "account__number", "account__holder_name", "description"]
    nothing_yet = "A transaction is listed here as soon as one is posted, here or through the API."
    ordering = ["-id"]
    list_select_related = ["account"]
    autocomplete_fields = ["account"]
    readonly_fields = ["reference", "amount_label", "balance_label", "posted_at", "emails"]

    def get_fields(self, request: HttpRequest, obj: Transaction | None = None) -> list[Any]:
        if obj is None:
            return ["account", "kind", "amount", "description"]
        return [
            ("reference", "posted_at"),
            "emails",
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
        return _emails_link(posted.reference)
