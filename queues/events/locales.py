"""Check language tags (BCP 47), and write them in their canonical case: ``de-AT``, ``zh-Hant-TW``."""

from __future__ import annotations

import re
from functools import lru_cache

# RFC 5646 recommends that buffers take at least this much (section 4.4.1).
MAX_LENGTH = 35
# Language, script, region, variants, extensions, private use (RFC 5646, section 2.1).
TAG = (
    "[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    "(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*"
    "(-[Xx](-[A-Za-z0-9]{1,8})+)?"
)
_is_tag = re.compile(TAG).fullmatch


@lru_cache(1024)
def canonical(tag: str) -> str:
    """Return the tag in its canonical case; raises ValueError if it is no language tag."""
    if len(tag) > MAX_LENGTH or not _is_tag(tag):
        raise ValueError(f"{tag!r} is not a language tag (BCP 47), such as de-AT")
    language, *rest = tag.lower().split("-")
    written, is_extended = [language], False
    for part in rest:
        is_extended = is_extended or len(part) == 1
        if not is_extended and len(part) == 4 and part.isalpha():
            part = part.title()
        elif not is_extended and len(part) == 2:
            part = part.upper()
        written.append(part)
    return "-".join(written)
