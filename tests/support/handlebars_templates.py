"""Make up Handlebars templates and data for them, to compare two engines."""

from __future__ import annotations

from random import Random
from typing import Any

_WORDS = """
    a b xs o this . .. @index @key @first @last @root.a @root @../index @up it i it.a a.b o.a ../a ../../b ../it
    xs.[0] xs.[1].a o.[a] a/b ./a this.b this/b ../this a/../b true false 0 1 -2.5 1.0 "s" 's' null undefined
    xs.length b.length label dashed-name é ../. @../key ../../a
"""
_PATHS = [
    *_WORDS.split(),
    "(upper b)",
    '(lookup o "a")',
    "(lookup xs 1)",
    "(lookup o b)",
    "[a b]",
    "o.[a b]",
    '(lookup (lookup xs 0) "a")',
]
_TEXTS = [
    *[
        "x",
        "<b>&",
        "\n",
        " ",
        "\n  ",
        "{{! c }}",
        "{{!-- {{a}} --}}",
        "\\{{a}}",
        "\\\\{{a}}",
        "a\n",
    ],
    *["{{~! c ~}}", "\r\n", "\t\n  ", "{", "}}"],
]
# A star stands for an expression.
_MUSTACHES = [
    *[
        "{{*}}",
        "{{*}}",
        "{{{*}}}",
        "{{&*}}",
        "{{~*~}}",
        "{{~*}}",
        "{{upper *}}",
        "{{lookup * *}}",
        "{{> row}}",
    ],
    *[
        "\n  {{> row * label=*}}\n",
        "{{> row label=*}}",
        '{{> (lookup * "a") }}',
        "{{> p}}",
        "{{> nope}}",
    ],
    *["{{> empty}}", "{{@}}", "{{.5}}", "{{else}}", "{{^}}", "\n {{> lines}}\n", "{{> row ..}}"],
    *["{{> @partial-block}}", "  {{> @partial-block}}\n", "{{nope *}}"],
]
# A percent sign stands for nodes, an at sign for the rest of the block.
_BLOCKS = [
    "{{#if *}}%@{{/if}}",
    "{{~#if *~}}%@{{~/if~}}",
    "{{#if * includeZero=*}}%{{/if}}",
    "{{#unless *}}%@{{/unless}}",
    "{{#each *}}%@{{/each}}",
    "{{~#each *}}%@{{/each~}}",
    "{{#each * as |it i|}}%{{it}}{{i}}@{{/each}}",
    "\n{{#each xs}}\n%\n{{/each}}\n",
    "{{#with * as |it|}}%@{{/with}}",
    "{{#with *}}%@{{/with}}",
    *[
        f"{{{{#{path}}}}}%@{{{{/{path}}}}}"
        for path in ("xs", "o", "a", "this", ".", "../a", "xs.[0]")
    ],
    "{{^o}}%{{/o}}",
    "{{^o}}%{{else}}%{{/o}}",
    "{{#ifeq * *}}%@{{/ifeq}}",
    "{{#> layout *}}%{{/layout}}",
    "{{#> layout label=*}}%{{/layout}}",
    "{{#> nope}}%{{/nope}}",
    '{{#*inline "p"}}%{{/inline}}',
    '{{#*inline "row"}}%{{/inline}}',
    "{{{{raw}}}} {{x}} {{{{/raw}}}}",
    "{{{{raw}}}}\n{{{{a}}}}{{{{/a}}}}\n{{{{/raw}}}}",
]
_ELSES = ["{{else}}%", "{{~else~}}%", "{{^}}%", "{{ else }}%", "{{~^}}%"]
_CHAINS = [
    *[
        "{{else if *}}%",
        "{{~else if *~}}%",
        "{{else with *}}%",
        "{{else each *}}%",
        "{{else ifeq * *}}%",
    ],
    *["{{else unless *}}%", "{{else xs}}%", "{{else with * as |it|}}%{{it}}"],
]
_PLAIN = [
    *[
        None,
        True,
        False,
        0,
        1,
        -2.5,
        3.0,
        "",
        "s",
        "<'\n",
        "row",
        1e21,
        1e-7,
        0.00001,
        2**53 + 1,
        "0",
        "a",
        "é",
        -0.0,
    ],
    123456789012345680000,
]
_KEYS = ["a", "b", "xs", "o", "it", "label", "a b", "dashed-name", "é", "2", "1"]
PARTIALS = {
    "row": "<{{label}}{{#if a}}{{../a}}{{this.b}}{{/if}}{{@index}}>\n",
    "layout": "[{{> @partial-block}}{{a}}{{@root.a}}{{> p}}\n {{#each xs}}{{> @partial-block}}{{/each}}]",
    "p": "P{{it}}",
    "line": "{{label}}",
    "empty": "",
    "lines": "l1\nl2{{a}}\n",
}


def template(chance: Random, depth: int = 3) -> str:
    """Make up a template; many are wrong."""
    return "".join(_node(chance, depth) for _ in range(chance.randint(0, 3)))


def context(chance: Random) -> dict[str, Any]:
    """Make up the data for a template."""
    items = [_value(chance, 2) for _ in range(chance.randint(0, 3))]
    return {
        "a": _value(chance, 2),
        "b": _value(chance, 1),
        "xs": items if chance.random() < 0.7 else _value(chance, 2),
        "o": _value(chance, 3),
    }


def _node(chance: Random, depth: int) -> str:
    if depth <= 0 or chance.random() < 0.4:
        pattern = chance.choice(_TEXTS if chance.random() < 0.4 else _MUSTACHES)
    else:
        pattern = chance.choice(_BLOCKS)
    rest = [chance.choice(_CHAINS) for _ in range(chance.choice([0, 0, 1, 2]))]
    if chance.random() < 0.5:
        rest.append(chance.choice(_ELSES))
    lines = ["", "", "\n", "\n  ", " \n"]
    parts = {
        "@": lambda: "".join(rest),
        "*": lambda: chance.choice(_PATHS),
        "%": lambda: chance.choice(lines) + template(chance, depth - 1) + chance.choice(lines),
    }
    if pattern in _BLOCKS:
        pattern = pattern.replace("@", parts["@"]())
    return "".join(
        parts[sign]() if sign in "*%" and pattern[at : at + 4] != "*inl" else sign
        for at, sign in enumerate(pattern)
    )


def _value(chance: Random, depth: int) -> Any:
    kind = chance.random()
    if depth <= 0 or kind < 0.6:
        return chance.choice(_PLAIN)
    if kind < 0.8:
        return [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    keys = [chance.choice(_KEYS) for _ in range(chance.randint(0, 4))]
    return {key: _value(chance, depth - 1) for key in keys}
