"""Sources: RFC 5321, RFC 5891, UTS 46 (not transitional); SES API reference, Destination."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queues import addresses
from queues.addresses import AddressField, Undeliverable

# The letters that IDNA, folding and copying by hand stumble over, among all others.
SPECIAL = (
    "ß\u1e9eςΣİıſK\u00c5Ωﬀ１ａＡ。．\u00ad\u200b\u200c\u200d\u200e\u202e\u2060\ufeff\u034f\ufe0f\u115f"
    "\u3164\u2028\ue000"
)
letters = st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPECIAL + "abcXYZ019.-_@")
texts = st.text(letters, max_size=40)
anything = texts | st.builds("{}@{}.{}".format, texts, texts, st.sampled_from(["example", "com"]))


def spelled(address):
    """Return an address in the ways in which people and programs spell it."""
    local, _, domain = address.rpartition("@")
    # Python writes a capital ß as SS, which is another domain.
    capitals = "".join(char if char == "ß" else char.upper() for char in domain)
    return [
        address,
        f"{local.upper()}@{capitals}",
        f"{local}@{unicodedata.normalize('NFD', domain)}",
        f"{local}@{addresses.ascii_domain(domain)}",
        f"{local}@{addresses.ascii_domain(domain).upper()}",
        f"\ufeff{local}@{domain[:2]}\u00ad{domain[2:]}\u200b",
        f" {address}\u3000",
    ]


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.O'Neil+shop@EXAMPLE.Com", "Ada.O'Neil+shop@example.com"),
        ("ada@ｅxample.com", "ada@example.com"),
        ("ada@example。com", "ada@example.com"),
        ("ada@exam\u00adple\u2060.com\u200b", "ada@example.com"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        # With IDNA 2003 these go to strasse, fussball, βολοσ and a domain without its joiner.
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@fußball.example", "ada@xn--fuball-cta.example"),
        ("ada@βόλος.example", "ada@xn--nxasmm1c.example"),
        ("ada@نامه\u200cای.com", "ada@xn--mgba3gch31f060k.com"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        # Not IDNA, but a name that DNS has: RFC 1123.
        ("ada@ab--cd.example", "ada@ab--cd.example"),
    ],
)
def test_email_goes_to_the_domain_that_was_typed(typed, sent):
    assert addresses.deliverable(typed) == sent


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "ada@example",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "ada@127.0.0.1",
        "ada@.example.com",
        "ada@shop..example",
        "ada@example.com.",
        "ada@-shop.example",
        "ada@shop-.example",
        "ada@sh_op.example",
        "ada@sh op.example",
        "ada@example.com\n",
        "ada@\u202eexample.com",
        "ada@example.com\u200e",
        "ada@shop\u2028.example",
        "ada@\ue000.example",
        "ada@☃.example",
        "ada@xn--zzzzzz99999.example",
        "ada@" + "a" * 64 + ".example",
        "ada@" + "ä" * 60 + ".example",
        "ada@" + "a." * 124 + "example",
        "a" * 65 + "@example.com",
        "müller@example.com",
        "kelvin\u212a@example.com",
        "a\u200db@example.com",
        '"a,b"@example.com',
        "a..b@example.com",
        ".a@example.com",
        "a b@example.com",
        "ada@evil.example@example.com",
        "=?utf-8?q?ada=40evil.example?=@example.com",
        "Ada <ada@example.com>",
    ],
)
def test_address_without_a_place_to_send_to_is_refused_with_a_sentence(typed):
    with pytest.raises(Undeliverable, match=r"[A-Z].*\."):
        addresses.deliverable(typed)


@pytest.mark.parametrize(
    "address",
    ["ada@example.com", "ada@bücher.example", "ada@straße.example", "Ada@mañana.example"],
)
def test_all_spellings_of_an_address_have_one_key(address):
    assert len(set(map(addresses.key, spelled(address)))) == 1


def test_similar_domains_have_different_keys():
    domains = ["straße.example", "strasse.example", "نامه\u200cای.com", "نامهای.com"]

    assert len({addresses.key(f"ada@{domain}") for domain in domains}) == 4


@given(anything)
def test_deliverable_form_and_key_are_ascii_and_stable(text):
    key = addresses.key(text)
    assert addresses.key(key) == key
    assert addresses.key(addresses.kept(text)) == key
    try:
        sent = addresses.deliverable(text)
    except Undeliverable:
        return
    assert sent.isascii()
    assert sent.count("@") == 1
    assert len(sent) <= 254
    assert addresses.deliverable(sent) == sent
    assert addresses.key(sent) == key == sent.lower()
    assert addresses.deliverable(key) == key
    assert addresses.deliverable(addresses.as_typed(text)) == sent


@given(anything)
def test_database_needs_a_key_of_its_own_only_outside_ascii(text):
    assert (addresses.foreign_key(text) or text.strip().lower()) == addresses.key(text)


@given(texts.filter(str.isprintable), st.sampled_from(["shop@example.com", "shop@bücher.example"]))
def test_any_name_of_a_sender_is_ascii_and_comes_back(name, address):
    made = addresses.mailbox(addresses.named(name, addresses.deliverable(address)))

    assert made.isascii()
    assert made.endswith(addresses.deliverable(address)) or made.endswith(">")


def test_long_name_becomes_encoded_words_that_are_short_enough():
    words = addresses.named("Größte Auswahl " * 9, "shop@example.com").split()

    assert max(map(len, words)) <= 75


def test_domain_is_readable_in_its_own_letters():
    assert addresses.readable("ada@xn--bcher-kva.example") == "ada@bücher.example"
    assert addresses.readable("ada@xn--zzzzzz99999.example") == "ada@xn--zzzzzz99999.example"


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (" ada@example.com ", "ada@example.com"),
        ("ada@exam\u00adple.com\u200b", "ada@example.com"),
        ("Ada@Bücher.Example", "Ada@Bücher.Example"),
        ("\u3000ada@example.com", "ada@example.com"),
    ],
)
def test_form_keeps_what_was_typed_without_what_nobody_sees(typed, value):
    assert AddressField().clean(typed) == value
