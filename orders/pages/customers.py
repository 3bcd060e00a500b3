"""Show customers in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from orders.models import Customer
from orders.pages.personal import EmailColumnAdmin, emails_link, in_list, on_page
from queues.pages.listing.time_range import CreatedFilter


@admin.register(Customer)
class CustomerAdmin(EmailColumnAdmin):
    email_outcome = in_list("last email")
    email_here = on_page("last email")
    address_field = address_column = "email"
    list_display = ["name", "email", "email_outcome", "email_verified_at", "registered_at"]
    list_filter = [
        ("registered_at", CreatedFilter),
        ("email_verified_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["name", "email", "email_key"]
    nothing_yet = "Customers register in the shop, or you add one."
    ordering = ["name"]
    readonly_fields = ["email_verified_at", "registered_at", "email_here", "emails"]

    @admin.display(description="emails", empty_value="—")
    def emails(self, customer: Customer) -> SafeString | None:
        return emails_link(customer.subject) if customer.pk else None
