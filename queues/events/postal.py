"""Know the order of town and postal code in the addresses of a country."""

from __future__ import annotations

# Countries, as people type them, that write the town first (Universal Postal Union, addressing systems).
_TOWN_FIRST = {
    *("united kingdom", "uk", "great britain", "england", "scotland", "wales", "northern ireland"),
    *("united states", "united states of america", "usa", "us", "canada"),
    *("ireland", "australia", "new zealand", "india", "south africa", "singapore"),
}


def is_town_first(country: str) -> bool:
    """Return True for ``London SW1Y 4JH``, False for ``10115 Berlin``, as most of the world writes."""
    return country.replace(".", "").strip().lower() in _TOWN_FIRST
