from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from orders.events import MAX_LINES, MAX_QUANTITY
from orders.models import Order, Product
from orders.models.shop import too_many_lines
from orders.validators import validate_name
from queues.addresses import AddressField

_QUANTITY = "quantity-"


class _Forgetful(forms.TextInput):
    """A text field that never shows the value that was posted."""

    def get_context(self, name: str, value: object, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


def _refuse_program(text: str) -> NoReturn:
    raise ValidationError(
        gettext(
            "A program, or an add-on of your browser, filled in a hidden field."
            " The field is empty again. Please send the form once more."
        )
    )


class PublicForm(forms.Form):
    """The base of forms with which anybody can make us send an email to anybody."""

    # People do not see this field, but programs that fill in everything do. The error is shown, because sometimes a
    # browser add-on fills it in for a person, who would otherwise wait for an email that never comes.
    website = forms.CharField(
        required=False,
        label=_("Leave this empty"),
        widget=_Forgetful({"autocomplete": "off", "tabindex": "-1"}),
        validators=[_refuse_program],
    )
    wait_seconds = 0

    def put_off(self, cause: str, *, seconds: int) -> None:
        """Refuse the post, and say when to try again; the typed values stay in the form."""
        self.wait_seconds = seconds
        again = gettext("Please send it again in %(time)s.") % {"time": _in_words(seconds)}
        self.add_error(None, f"{cause} {again}")

    @property
    def status(self) -> int:
        """The HTTP status of the answer that shows the form again."""
        if self.wait_seconds:
            return 429
        return 400 if "website" in self.errors else 200


def _in_words(seconds: int) -> str:
    if seconds < 60:
        return ngettext("a second", "%(count)d seconds", seconds) % {"count": seconds}
    minutes = math.ceil(seconds / 60)
    return ngettext("a minute", "%(count)d minutes", minutes) % {"count": minutes}


class OrderForm(PublicForm, forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """The shop's order form: a quantity for each product on sale, and the shipping address."""

    idempotency_key = forms.UUIDField(
        initial=uuid.uuid4,
        widget=forms.HiddenInput({"autocomplete": "off"}),
        error_messages={
            "required": _("This page is out of date. Please reload it."),
            "invalid": _("This page is out of date. Please reload it."),
        },
    )

    class Meta:
        model = Order
        fields = [
            "customer_name",
            "customer_email",
            "shipping_street",
            "shipping_postal_code",
            "shipping_city",
            "shipping_country",
        ]
        labels = {
            "customer_name": _("Your name"),
            "customer_email": _("Email"),
            "shipping_street": _("Street and number"),
            "shipping_postal_code": _("Postal code"),
            "shipping_city": _("City"),
            "shipping_country": _("Country"),
        }
        help_texts = {"customer_email": _("We send the confirmation of your order here.")}
        widgets = {
            "customer_name": forms.TextInput({"autocomplete": "name"}),
            "customer_email": forms.EmailInput({"autocomplete": "email"}),
            "shipping_street": forms.TextInput({"autocomplete": "street-address"}),
            "shipping_postal_code": forms.TextInput({"autocomplete": "postal-code"}),
            "shipping_city": forms.TextInput({"autocomplete": "address-level2"}),
            "shipping_country": forms.TextInput({"autocomplete": "country-name"}),
        }

    def __init__(self, *args: Any, products: Iterable[Product], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.products = {f"{_QUANTITY}{product.pk}": product for product in products}
        for name, product in self.products.items():
            self.fields[name] = _quantity_field(product)

    def clean(self) -> dict[str, Any]:
        super().clean()
        if self._asks_for_unknown_products():
            self.add_error(
                None,
                gettext("A product of your order is no longer on sale. Please check your order."),
            )
        if not self.chosen() and not self.errors.keys() & self.products.keys():
            self.add_error(None, gettext("Choose at least one product."))
        if len(self.chosen()) > MAX_LINES:
            self.add_error(None, too_many_lines())
        return self.cleaned_data

    def chosen(self) -> list[tuple[Product, int]]:
        """Return the chosen products with their quantities."""
        pairs = [(product, self.cleaned_data.get(name)) for name, product in self.products.items()]
        return [(product, quantity) for product, quantity in pairs if quantity]

    def order(self) -> dict[str, Any]:
        """Return the arguments for ``services.place_order``."""
        fields = {name: self.cleaned_data[name] for name in self.Meta.fields}
        return fields | {
            "idempotency_key": self.cleaned_data["idempotency_key"],
            "shipping_name": self.cleaned_data["customer_name"],
            "lines": self.chosen(),
        }

    def take_new_key(self) -> None:
        """Put a new key into the form, so that sending it again places another order."""
        self.data = dict(self.data.items()) | {"idempotency_key": str(uuid.uuid4())}

    def cards(self) -> list[tuple[Product, forms.BoundField]]:
        """Return each product with its quantity field, for the page."""
        return [(product, self[name]) for name, product in self.products.items()]

    def _asks_for_unknown_products(self) -> bool:
        return any(
            name.startswith(_QUANTITY) and name not in self.products and value not in ("", "0")
            for name, value in self.data.items()
        )


def _quantity_field(product: Product) -> forms.IntegerField:
    amount = gettext("Choose a whole number from 0 to %(most)d.") % {"most": MAX_QUANTITY}
    return forms.IntegerField(
        label=gettext("Quantity of %(product)s") % {"product": product.name},
        required=False,
        min_value=0,
        max_value=MAX_QUANTITY,
        initial=0,
        widget=forms.NumberInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={"invalid": amount, "min_value": amount, "max_value": amount},
    )


class RegistrationForm(PublicForm):
    """The registration form; a ModelForm would tell a stranger which addresses are registered."""

    name = forms.CharField(
        max_length=200,
        label=_("Your name"),
        validators=[validate_name],
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    email = AddressField(
        max_length=254,
        label=_("Email"),
        help_text=_("We send you a link to confirm that the address is yours."),
        widget=forms.EmailInput({"autocomplete": "email"}),
    )


class CorrectionForm(PublicForm):
    """The form with another address for an order's confirmation."""

    email = AddressField(
        max_length=254,
        label=_("Email"),
        widget=forms.EmailInput({"autocomplete": "email"}),
    )


class SignInForm(PublicForm):
    """The form that asks for a link to the orders of an address."""

    email = AddressField(
        max_length=254,
        label=_("Email"),
        help_text=_("We send you a link. You need no password."),
        widget=forms.EmailInput({"autocomplete": "email"}),
    )
