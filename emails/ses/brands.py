"""Know each brand that emails belong to: its letterhead, its sender and whom to ask, by default or as staff set it.

A template names its brand in ``sample.json``. Every process asks the database again after ``FRESH_SECONDS``, so a
change is in force everywhere within seconds and costs no query per email.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from emails.models.identities import Brand
from emails.rendering import templates
from emails.rendering.templates import Letterhead
from queues.threads.fresh import Fresh

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0

DEFAULT = templates.DEFAULT_BRAND
# What the platform says itself: to support, to admins, in tests.
PLATFORM = "platform"


def known() -> list[str]:
    """Return the key of every brand: those of the templates, and those that are always there."""
    return sorted({DEFAULT, PLATFORM, *map(templates.brand, templates.names())})


def in_force(key: str) -> Brand:
    """Return the brand with its defaults filled in; its sender is that of ``default_sender``.

    All emails share it: change it with ``save``. While the database does not answer, what was known last stays in
    force. Raises DatabaseError if nothing is known.
    """
    brands = _brands.get()
    return brands.get(key) or brands.setdefault(key, default(key))


def default(key: str) -> Brand:
    """Return the brand as it is while nobody has changed it; asks no database."""
    return _filled(Brand(key=key))


def letterhead(brand: Brand) -> Letterhead:
    """Return what the brand's emails show of it."""
    return Letterhead(
        name=brand.name,
        mark=brand.mark,
        colour=brand.colour,
        footer=brand.footer,
        support=brand.support,
    )


def saved(key: str) -> Brand | None:
    """Return what staff set for this brand, with who did it and when; None if nobody has."""
    return Brand.objects.filter(key=key).first()


@transaction.atomic
def save(key: str, *, by: str, **fields: Any) -> None:
    """Change a brand from now on; the caller must find out first whether SES sends from a new sender."""
    last = Brand.objects.aggregate(last=Max("pk"))["last"]
    fields |= {"chosen_by": by, "chosen_at": timezone.now()}
    # The row 1 is for the default brand alone: it is all that a release before brands reads.
    new = {"pk": 1 if key == DEFAULT else max(last or 1, 1) + 1}
    Brand.objects.update_or_create(key=key, defaults=fields, create_defaults=fields | new)
    forget()
    logger.warning("brand changed brand=%s", key)


def reset(key: str) -> bool:
    """Go back to the defaults of a brand; False if they are in force already."""
    deleted, _ = Brand.objects.filter(key=key).delete()
    forget()
    if deleted:
        logger.warning("brand reset brand=%s", key)
    return bool(deleted)


def forget() -> None:
    """Forget the known brands, so that the next email asks the database: after a change here, and between tests."""
    _brands.forget()


def _filled(brand: Brand) -> Brand:
    """Fill in the defaults of empty fields."""
    default = templates.default_letterhead(brand.key)
    brand.name = brand.name or default.name
    brand.mark = brand.mark or brand.name[:1].upper()
    brand.colour = brand.colour or default.colour
    return brand


def _read() -> dict[str, Brand]:
    return {row.key: _filled(row) for row in Brand.objects.all()}


_brands = Fresh(_read, seconds=FRESH_SECONDS)
