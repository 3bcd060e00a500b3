"""Name the elements and attributes of HTML that an email may have."""

from __future__ import annotations

# What mail programs show. Everything that runs, loads or asks for something is left out.
_NAMES = """
html head title meta style body xml
address article aside blockquote center div dd dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li main nav
ol p pre section ul
caption col colgroup table tbody td tfoot th thead tr
a abbr b bdi bdo big br cite code data del dfn em font i img ins kbd mark q s samp small span strike strong sub sup
time tt u var wbr
"""
ALLOWED = frozenset(_NAMES.split())
# Outlook's own elements, which stand in conditional comments.
OUTLOOK = ("o:", "v:", "w:", "m:")

FORBIDDEN = {
    "script": "an email cannot run code",
    "form": "an email cannot have a form; lead to a page that has it",
    "iframe": "an email cannot show another page",
    "object": "an email cannot load an object",
    "embed": "an email cannot load an object",
    "link": "an email cannot load a style sheet; write it into <style>",
    "base": "<base> changes where every link leads",
    "svg": "mail programs do not show it, and it can run code; use an <img>",
    "math": "mail programs do not show it",
}
FORBIDDEN_ATTRIBUTES = {
    "srcdoc": "an email cannot show another page",
    "srcset": "its addresses are not checked; use src",
    "action": "an email cannot have a form",
    "formaction": "an email cannot have a form",
    "ping": "it calls an address when somebody follows the link",
}
# Attributes that are addresses, besides all that end in href or src.
ADDRESSES = frozenset(
    [
        "background",
        "cite",
        "classid",
        "codebase",
        "data",
        "icon",
        "longdesc",
        "manifest",
        "poster",
        "profile",
        "usemap",
    ]
)
# What a <meta http-equiv> may be: one that leads elsewhere is none of these.
HTTP_EQUIV = frozenset({"content-type", "x-ua-compatible", "content-language"})


def is_allowed(name: str) -> bool:
    """Return True if an email may have an element of this name."""
    return name in ALLOWED or name.startswith(OUTLOOK)


def is_address(attribute: str) -> bool:
    """Return True if the value of this attribute is an address that a mail program opens or loads."""
    return attribute in ADDRESSES or attribute.endswith(("href", "src"))


def why_not(attribute: str) -> str:
    """Return why an email must not have an attribute of this name; empty if it may."""
    if attribute.startswith("on"):
        return "an email cannot run code"
    return FORBIDDEN_ATTRIBUTES.get(attribute, "")
