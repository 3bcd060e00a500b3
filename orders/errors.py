"""Define the errors of this app, named for what the caller should do.

OrdersError
├── Refused         show the text to the person who asked; nothing was saved
│   ├── AlreadyPlaced       the key belongs to another order; ask again with a new one
│   ├── NoLines             an order needs at least one line
│   ├── TooManyLines        an order has at most ``events.MAX_LINES`` lines
│   ├── OrderTooLarge       the texts of an order do not fit into its event; split it
│   ├── MixedCurrencies     an order has one currency
│   ├── Overdraft           the account does not hold that much
│   ├── BalanceTooLarge     the account cannot hold that much
│   ├── CurrencyMismatch    the amount is not in the account's currency
│   ├── UnknownAccount      there is no account with this number
│   ├── UnknownProduct      there is no such product on sale
│   └── KeyReused           the idempotency key belongs to a request with another body; use a new one
├── KeyInUse        the first request under this key is not answered yet; try again in a moment
├── TooFast         ask again after ``seconds``
├── BadToken        the caller did not prove who they are; tell them nothing more
├── KeysUnavailable tokens cannot be checked now; try again in a moment
├── BadLink         the link was changed or cut off; ask for a new one
│   ├── LinkExpired         authentic but old; offer the customer of ``customer_id`` a new one
│   └── LinkUsed            the link was used already; nothing is left to do
└── Immutable       the code tries to change a fact; fix the code
"""

from __future__ import annotations


class OrdersError(Exception):
    """The base of all errors of this app."""


class Refused(OrdersError):
    """The request breaks a business rule; the text is for the person who asked."""


class AlreadyPlaced(Refused):
    """Another order was placed with this idempotency key."""


class NoLines(Refused):
    """The order has no lines."""


class TooManyLines(Refused):
    """The order has more lines than its event may have."""


class OrderTooLarge(Refused):
    """The event of the order would be larger than an event may be."""


class MixedCurrencies(Refused):
    """The products of one order are priced in different currencies."""


class Overdraft(Refused):
    """The withdrawal is larger than the account's balance."""


class BalanceTooLarge(Refused):
    """The deposit would raise the balance above ``MAX_BALANCE``."""


class CurrencyMismatch(Refused):
    """The transaction is not in the account's currency."""


class UnknownAccount(Refused):
    """No account has this number."""


class UnknownProduct(Refused):
    """The product is not on sale, or no longer; ``index`` is the index of its line."""

    def __init__(self, text: str, *, index: int) -> None:
        super().__init__(text)
        self.index = index


class KeyReused(Refused):
    """The idempotency key was used for another request."""


class KeyInUse(OrdersError):
    """A request with this idempotency key is still running."""


class TooFast(OrdersError):
    """The caller asks more often than allowed; ``seconds`` is how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many requests. Try again in {seconds} s.")
        self.seconds = seconds


class BadToken(OrdersError):
    """The token is missing, forged, expired, or issued for another application; the text is only for the log."""


class KeysUnavailable(OrdersError):
    """The issuer of tokens does not return its keys."""


class BadLink(OrdersError):
    """We did not make this link, or not in this form."""


class LinkExpired(BadLink):
    """We made this link, but it has expired."""

    def __init__(self, customer_id: int) -> None:
        super().__init__("the link has expired")
        self.customer_id = customer_id


class LinkUsed(BadLink):
    """The link has already confirmed its address, or already opened its orders."""


class Immutable(OrdersError):
    """A placed order and a posted transaction are facts: nothing changes or removes them."""
