"""Know each brand that emails belong to: its letterhead, its sender and whom to ask, by default or as staff set it.

A template names its brand in ``sample.json``; staff may choose another, and a sender and a reply address for this
template alone. Every process asks the database again after ``FRESH_SECONDS``, so a
change is in force everywhere within seconds and costs no query per email.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from emails.models import Brand, EmailTemplate
from emails.rendering import templates
from emails.rendering.templates import Letterhead
from queues.threads.fresh import Fresh

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0

DEFAULT = templates.DEFAULT_BRAND
# What the platform says itself: to support, to admins, in tests.
PLATFORM = "platform"
# In pixels.
LOGO_WIDTH = 120


def known() -> list[str]:
    """Return the key of every brand: those of the templates, those that are always there, and those chosen by staff."""
    names = templates.names()
    return sorted({DEFAULT, PLATFORM, *map(templates.brand, names), *map(of, names)})


def of(template: str) -> str:
    """Return the key of a template's brand: the one that staff chose, else that of its sample."""
    chosen = own(template)
    return (chosen and chosen.brand) or templates.brand(template)


def own(template: str) -> EmailTemplate | None:
    """Return what staff chose for this template alone: brand, sender, reply address; None if nothing.

    Raises DatabaseError if nothing is known.
    """
    return _own.get().get(template)


def own_senders() -> list[str]:
    """Return the senders that staff chose for single templates; raises DatabaseError if nothing is known."""
    return [row.sender for row in _own.get().values() if row.sender]


def reply_to(template: str) -> str:
    """Return where replies to emails of this template go; empty: to the sender."""
    chosen = own(template)
    return (chosen and chosen.reply_to) or in_force(of(template)).reply_to


def choose(template: str, *, brand: str, sender: str, reply_to: str) -> None:
    """Change what is chosen for a template alone; the caller must find out first whether SES sends from the sender."""
    fields = {"brand": brand, "sender": sender, "reply_to": reply_to}
    EmailTemplate.objects.update_or_create(name=template, defaults=fields)
    forget()
    logger.warning("sender of a template changed template=%s", template)


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
        logo=brand.logo,
        logo_alt=brand.logo and (brand.logo_alt or brand.name),
        logo_width=brand.logo and str(brand.logo_width or LOGO_WIDTH),
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
    _own.forget()


def _filled(brand: Brand) -> Brand:
    """Fill in the defaults of empty fields."""
    default = templates.default_letterhead(brand.key)
    brand.name = brand.name or default.name
    brand.mark = brand.mark or brand.name[:1].upper()
    brand.colour = brand.colour or default.colour
    return brand


def _read() -> dict[str, Brand]:
    return {row.key: _filled(row) for row in Brand.objects.all()}


def _read_own() -> dict[str, EmailTemplate]:
    rows = EmailTemplate.objects.exclude(brand="", sender="", reply_to="")
    return {row.name: row for row in rows}


_brands = Fresh(_read, seconds=FRESH_SECONDS)
_own = Fresh(_read_own, seconds=FRESH_SECONDS)
