"""The suppression list of the SES account: SES accepts a mail to such an address, does not send it, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Suppressed:
    """An address with the reason, BOUNCE or COMPLAINT, and since when."""

    address: str
    reason: str
    since: datetime

    @property
    def described(self) -> dict[str, Any]:
        """Return the entry as the API shows it."""
        return {
            "EmailAddress": self.address,
            "Reason": self.reason,
            "LastUpdateTime": self.since,
        }


class AccountList:
    """The account's suppression list, in the order in which addresses came; case does not matter."""

    def __init__(self) -> None:
        self._listed: dict[str, Suppressed] = {}

    def __contains__(self, address: object) -> bool:
        return str(address).lower() in self._listed

    def put(self, address: str, reason: str) -> None:
        """Again it changes the reason and the time."""
        self.remove(address)
        self._listed[address.lower()] = Suppressed(address, reason, datetime.now(UTC))

    def get(self, address: str) -> Suppressed | None:
        """Return the entry of an address; None if it is not listed."""
        return self._listed.get(address.lower())

    def remove(self, address: str) -> bool:
        """False if it was not listed."""
        return self._listed.pop(address.lower(), None) is not None

    def page(
        self, *, begin: int, size: int, since: datetime | None, reasons: Iterable[str]
    ) -> tuple[list[Suppressed], int | None]:
        """Return one page of the list, and where the next one begins if there is more."""
        wanted = [
            each
            for each in list(self._listed.values())
            if (since is None or each.since >= since) and (not reasons or each.reason in reasons)
        ]
        rest = begin + size if begin + size < len(wanted) else None
        return wanted[begin : begin + size], rest
