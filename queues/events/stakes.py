"""Say what a failure costs: the customer and the money of an event, as far as its data can be read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.utils.crypto import salted_hmac

from queues import addresses

# Fits a signed 64-bit integer everywhere.
MAX_CENTS = 10**15
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True)
class Stake:
    """The customer and the money that an event concerns, to count what a failure costs.

    ``customer`` is the same for the same person and does not reveal who that is: see ``of_address``. It is empty if the
    data does not say who it is.
    """

    customer: str
    amount_cents: int | None = None
    currency: str = ""
    # The customer's address, for staff who may see it; it is not stored beside the event.
    address: str = field(default="", compare=False, repr=False)

    @property
    def domain(self) -> str:
        """The domain of the address as SES names it; empty if there is none that an email can be sent to."""
        try:
            return addresses.identity(self.address).rpartition("@")[2] if self.address else ""
        except addresses.Undeliverable:
            return ""

    @classmethod
    def of_address(
        cls, address: str, *, amount_cents: int | None = None, currency: str = ""
    ) -> Stake:
        """Make a stake for the owner of this email address; only a keyed hash of the address is kept."""
        # The name of an earlier module: with another one, each customer would count twice.
        key = salted_hmac(
            "queues.events.envelope.Stake", addresses.key(address), algorithm="sha256"
        ).hexdigest()
        return cls(key[:32], amount_cents, currency, address)


@dataclass(frozen=True)
class StakeAt:
    """Names the fields in which a type of event says whose it is and how much money it is about.

    Each is the path of a field: ``customer.email``. ``amount_cents`` and ``currency`` are empty where no money is at
    stake.
    """

    address: str
    amount_cents: str = ""
    currency: str = ""

    def read(self, data: object) -> Stake | None:
        """Return what can be read, also of data that its model refuses; None if that is nothing. Never fails."""
        amount, currency = self._money(data)
        address = _at(self.address, data)
        if isinstance(address, str) and "@" in address and len(address) <= addresses.MAX_LENGTH:
            return Stake.of_address(address, amount_cents=amount, currency=currency)
        return None if amount is None else Stake("", amount, currency)

    def _money(self, data: object) -> tuple[int | None, str]:
        """Return both or neither: an amount of an unknown currency adds up to nothing."""
        amount, currency = _at(self.amount_cents, data), _at(self.currency, data)
        if not isinstance(amount, int) or isinstance(amount, bool) or not isinstance(currency, str):
            return None, ""
        is_sound = 0 <= amount <= MAX_CENTS and _CURRENCY.fullmatch(currency)
        return (amount, currency) if is_sound else (None, "")


def _at(path: str, data: object) -> object:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data
