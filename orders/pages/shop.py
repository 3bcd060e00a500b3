"""Show products and orders in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from orders.errors import Refused
from orders.events import MAX_LINES
from orders.models import Order, OrderLine, Product
from orders.money import formatted
from orders.pages.personal import FactAdmin, emails_link, in_list, on_page
from queues.pages.listing.time_range import TimeFilter
from queues.pages.lists import ListAdmin


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
    email_outcome = in_list("confirmation")
    email_here = on_page("confirmation")
    subject_field = number_column = "number"
    address_column = "customer_email"
    list_display = [
        "number",
        "customer_name",
        "customer_email",
        "total_label",
        "email_outcome",
        "placed_at",
    ]
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
    readonly_fields = ["number", "total_label", "placed_at", "email_here", "emails"]
    inlines = [OrderLineInline]

    def get_fieldsets(self, request: HttpRequest, obj: Order | None = None) -> list[Any]:
        order = ["customer", ("customer_name", "customer_email"), "locale"]
        if obj:
            order = [("number", "total_label"), ("placed_at", "email_here"), "emails", *order]
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
        return emails_link(order.number, order.customer_email)
