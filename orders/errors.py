"""What is refused here, named for what the caller should do.

OrdersError
├── Refused         show the text to whoever asked; nothing was saved
│   ├── AlreadyPlaced       the key belongs to another order; ask again with a new one
│   ├── NoLines             an order needs at least one line
│   ├── MixedCurrencies     an order has one currency
│   ├── Overdraft           the account does not hold that much
│   ├── BalanceTooLarge     the account cannot hold that much
│   ├── CurrencyMismatch    the amount is not in the account's currency
│   ├── UnknownAccount      there is no account with this number
│   ├── UnknownProduct      there is no such product on sale
│   └── KeyReused           the idempotency key belongs to a request with another body; use a new one
├── KeyInUse        the first request under this key is not answered yet; try again in a moment
├── TooFast         ask again after ``seconds``
├── BadToken        whoever asks did not prove who they are; nothing more is told
├── KeysUnavailable nobody can be recognised now; try again in a moment
├── BadLink         the link is altered or cut; ask for a new one
│   ├── LinkExpired         authentic but old; offer the customer of ``customer_id`` a new one
│   └── LinkUsed            it did its work already; nothing is left to do
└── Immutable       the code tries to change a fact; mend the code
"""

from __future__ import annotations


class OrdersError(Exception):
    """The base of all errors of this app."""


class Refused(OrdersError):
    """What was asked breaks a rule of the business; the text is for the person who asked."""


class AlreadyPlaced(Refused):
    """Another order was placed with this idempotency key."""


class NoLines(Refused):
    """The order has no lines."""


class MixedCurrencies(Refused):
    """The products of one order are priced in different currencies."""


class Overdraft(Refused):
    """A withdrawal of more than the account's balance."""


class BalanceTooLarge(Refused):
    """A deposit that would leave more than ``MAX_BALANCE``."""


class CurrencyMismatch(Refused):
    """A transaction in another currency than its account's."""


class UnknownAccount(Refused):
    """No account has this number."""


class UnknownProduct(Refused):
    """A product that is not on sale, or not any more; ``index`` is that of its line."""

    def __init__(self, text: str, *, index: int) -> None:
        super().__init__(text)
        self.index = index


class KeyReused(Refused):
    """Another request was made under this idempotency key."""


class KeyInUse(OrdersError):
    """A request under this idempotency key is being carried out."""


class TooFast(OrdersError):
    """Somebody asks more often than they may."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"You ask too often. Try again in {seconds} s.")
        self.seconds = seconds


class BadToken(OrdersError):
    """A token that is missing, forged, expired, or for somebody else; the text is for the log alone."""


class KeysUnavailable(OrdersError):
    """The issuer of tokens does not give its keys."""


class BadLink(OrdersError):
    """The link was not made by us, or not in this form."""


class LinkExpired(BadLink):
    """The link was ours, but its time is over."""

    def __init__(self, customer_id: int) -> None:
        super().__init__("the link has expired")
        self.customer_id = customer_id


class LinkUsed(BadLink):
    """The address that the link confirms is confirmed, or its orders were shown by it."""


class Immutable(OrdersError):
    """A placed order and a posted transaction are facts: nothing changes or removes them."""
