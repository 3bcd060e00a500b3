"""An event with all that a schema can say, and the files of a template around one that is checked."""

from emails.checking.checker import problems

HOSTS = {"shop.example.com", "carrier.example.org:8443"}
SITE = "https://shop.example.com"

TEXT = {"type": "string"}
LINK = {"type": "string", "format": "uri"}
SCHEMA = {
    "type": "object",
    "properties": {
        "order_number": TEXT,
        "name": TEXT,
        "total_cents": {"type": "integer"},
        "percent": {"type": "number"},
        "currency": {"$ref": "#/$defs/Currency"},
        "kind": {"enum": ["deposit", "withdrawal"]},
        "is_gift": {"type": "boolean"},
        "placed_at": {"type": "string", "format": "date-time"},
        "order_url": LINK,
        "homepage": TEXT,
        "note": TEXT,
        "phone": {"anyOf": [TEXT, {"type": "null"}]},
        "discount_cents": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "customer": {"$ref": "#/$defs/Person"},
        "gift": {"anyOf": [{"$ref": "#/$defs/Gift"}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1},
        "tags": {"type": "array", "items": TEXT},
        "extras": {"type": "object", "additionalProperties": TEXT},
        "anything": {},
    },
    "$defs": {
        "Currency": {"enum": ["USD", "EUR"], "type": "string"},
        "Person": {
            "type": "object",
            "properties": {"name": TEXT, "email": TEXT, "nickname": TEXT},
            "required": ["name", "email"],
        },
        "Gift": {
            "type": "object",
            "properties": {"text": TEXT, "wrap": {"anyOf": [TEXT, {"type": "null"}]}},
            "required": ["text", "wrap"],
        },
        "Line": {
            "type": "object",
            "properties": {
                "name": TEXT,
                "quantity": {"type": "integer"},
                "price_cents": {"type": "integer"},
                "url": LINK,
                "note": TEXT,
                "parts": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            },
            "required": ["name", "quantity", "price_cents", "url", "parts"],
        },
    },
}
SCHEMA["required"] = [
    name for name in SCHEMA["properties"] if name not in ("note", "discount_cents")
]

LINE = {"name": "Mug", "quantity": 2, "price_cents": 1250, "url": f"{SITE}/mug", "parts": []}
# With all that may be there, and without.
FULL = {
    "order_number": "ORD-1",
    "name": "Ada",
    "total_cents": 2500,
    "percent": 12.5,
    "currency": "USD",
    "kind": "deposit",
    "is_gift": True,
    "placed_at": "2026-11-22T10:00:00Z",
    "order_url": f"{SITE}/orders/1",
    "homepage": "https://evil.example/",
    "note": "Hi",
    "phone": "+44 20",
    "discount_cents": 5,
    "customer": {"name": "Ada", "email": "ada@example.com", "nickname": "A"},
    "gift": {"text": "For you", "wrap": "red"},
    "lines": [{**LINE, "note": "blue", "parts": [LINE]}, LINE],
    "tags": ["new", "<b>"],
    "extras": {"colour": "blue"},
    "anything": {"deep": [1, {"x": None}]},
}
BARE = {
    **{name: value for name, value in FULL.items() if name != "note"},
    "phone": None,
    "discount_cents": None,
    "customer": {"name": "Ada", "email": "ada@example.com"},
    "gift": None,
    "is_gift": False,
    "kind": "withdrawal",
    "lines": [LINE],
    "tags": [],
    "extras": {},
    "anything": None,
}

GOOD = {
    "subject.hbs": "Order {{order_number}}\n",
    "body.html.hbs": '<p class="preheader">{{order_number}}</p>\n',
    "body.txt.hbs": "Order {{order_number}}\n",
}


def found(files, *, schema=SCHEMA, sample=None):
    """Check a template of which only some files are given."""
    return problems({**GOOD, **files}, schema, sample=sample, link_hosts=HOSTS)


def body(source):
    return {"body.html.hbs": f'<p class="preheader"></p>{source}'}
