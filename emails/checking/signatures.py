"""Describe the helpers of templates: what they take and return, with an example for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emails.checking.shapes import TEXT, Shape


@dataclass(frozen=True)
class Parameter:
    """An argument of a helper. ``kind`` is ``cents``, ``number``, ``text``, ``time``, ``address`` or ``any``.

    ``named`` is the name under which it may be given instead: ``cur="USD"``.
    """

    name: str
    kind: str = "any"
    named: str = ""


@dataclass(frozen=True)
class Signature:
    """How a helper is called. ``example`` prints ``output`` for ``data``."""

    parameters: tuple[Parameter, ...]
    summary: str
    example: str
    output: str
    data: Mapping[str, object] = field(default_factory=dict)
    returns: Shape = TEXT
    is_block: bool = False


_WHEN = {"placed_at": "2026-11-22T10:00:00Z"}

SIGNATURES: Mapping[str, Signature] = {
    "money": Signature(
        (Parameter("cents", "cents"), Parameter("currency", "text", named="cur")),
        "Write whole cents as an amount, with the symbol of the currency; with `cur=` with its code.",
        '{{money total_cents "USD"}}, {{money total_cents cur="USD"}}',
        "$1,250.00, 1,250.00 USD",
        {"total_cents": 125000},
    ),
    "number": Signature(
        (Parameter("number", "number"),),
        "Write a number as the language of the email does.",
        "{{number quantity}}",
        "12,500",
        {"quantity": 12500},
    ),
    "date": Signature(
        (Parameter("time", "time"),),
        "Write the day of a time, in the time zone of the settings.",
        "{{date placed_at}}",
        "22 November 2026",
        _WHEN,
    ),
    "datetime": Signature(
        (Parameter("time", "time"),),
        "Write a time to the minute, with its zone.",
        "{{datetime placed_at}}",
        "22 November 2026, 10:00 UTC",
        _WHEN,
    ),
    "link": Signature(
        (Parameter("address", "address"),),
        "Write an address as a browser wants it, percent-encoded.",
        "{{link order_url}}",
        "https://example.com/orders/%C3%BC",
        {"order_url": "https://example.com/orders/ü"},
        returns=Shape({"type": "string", "format": "uri"}),
    ),
    "lookup": Signature(
        (Parameter("object"), Parameter("name")),
        "Return a value that may be absent, by its name; nothing if it is.",
        '{{#if (lookup this "note")}}{{note}}{{else}}no note{{/if}}',
        "no note",
    ),
    "ifeq": Signature(
        (Parameter("a"), Parameter("b")),
        "Print the block if both have the same value and type, else what stands after `{{else}}`.",
        '{{#ifeq kind "deposit"}}in{{else}}out{{/ifeq}}',
        "in",
        {"kind": "deposit"},
        is_block=True,
    ),
    "iftownfirst": Signature(
        (Parameter("country", "text"),),
        "Print the block where the town stands before the postal code, else what stands after `{{else}}`.",
        "{{#iftownfirst country}}London SW1Y{{else}}10115 Berlin{{/iftownfirst}}",
        "10115 Berlin",
        {"country": "Germany"},
        is_block=True,
    ),
    "raw": Signature(
        (),
        "Print the block as it stands, with its mustaches. It has four of them.",
        "{{{{raw}}}}{{name}}{{{{/raw}}}}",
        "{{name}}",
        is_block=True,
    ),
}
