import email
import email.policy
import pickle
import re
from email.header import decode_header, make_header

import django
import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from emails.errors import Unwritable
from emails.rendering import templates
from emails.rendering.mime import Email, Html

# Since version 6 Django folds and encodes otherwise; our own emails stay as they are.
as_django = pytest.mark.skipif(django.VERSION >= (6,), reason="the bytes are those of Django 5.2")
SENDER = "Notifier Shop <shop@example.com>"
# What is new in each email, even from the same data.
NEW = re.compile(rb"={15}\d{19}==|(?<=\r\nDate: )[^\r]+|(?<=\r\nMessage-ID: )[^>]+>")

lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
header_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e"),
    max_size=200,
)


def written(kind, *, subject="Your order", text="Thank you", html="<p>Thank you</p>", **fields):
    message = kind(subject, text, **{"from_email": SENDER, "to": ["ada@example.com"], **fields})
    message.attach_alternative(html, "text/html")
    return message.message().as_bytes(linesep="\r\n")


def assert_same(**fields):
    try:
        expected = written(EmailMultiAlternatives, **fields)
    except (ValueError, email.errors.MessageError):
        with pytest.raises(Unwritable):
            written(Email, **fields)
    else:
        assert NEW.sub(b"", written(Email, **fields)) == NEW.sub(b"", expected)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        " ",
        "Your order ORD-000123",
        " with space around it ",
        "two  spaces\tand a tab",
        "Ihre Bestellung: Käse & 🧀",
        "word " * 40,
        "x" * 300,
        "é" * 300,
        "=?utf-8?b?aGVsbG8=?=",
        "a, b; c: d",
        "NUL \x00 and \x7f and \x1f",
        "line\u2028separator\x85next\x1cfile",
        *("y" * length for length in range(62, 72)),
    ],
)
@as_django
def test_subject_is_written_as_django_writes_it(subject):
    assert_same(subject=subject)


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        '"Lovelace, Ada" <ada@example.com>',
        "O'Hara <ohara@example.com>",
        'Ada "the first" <ada@example.com>',
        "Zoë <zoe@example.com>",
        "ada@bücher.example",
        "Zoë <zoe@bücher.example>",
        "ada@example.com,bob@example.com",
        "a" * 64 + "@" + "b" * 60 + ".example.com",
        "no address",
        "ünsinn",
        "<>",
        "",
    ],
)
@pytest.mark.parametrize("field", ["to", "from_email"])
@as_django
def test_address_is_written_as_django_writes_it(field, address):
    assert_same(**{field: [address] if field == "to" else address})


@pytest.mark.parametrize(
    ("domain", "right"),
    [
        ("straße.example", "xn--strae-oqa.example"),
        ("fußball.example", "xn--fuball-cta.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("نامه\u200cای.example", "xn--mgba3gch31f060k.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
    ],
)
@pytest.mark.parametrize("field", ["to", "cc", "reply_to", "from_email"])
def test_domain_is_written_by_idna_2008(field, domain, right):
    address = f"Zoë <zoe@{domain}>"

    text = written(Email, **{field: address if field == "from_email" else [address]})

    assert f"<zoe@{right}>\r\n".encode() in text
    assert text.isascii()


def test_long_name_is_folded_between_short_encoded_words():
    name = "Zoë Müller-Lüdenscheidt-von-und-zu-Irgendwo am schönen See"

    text = written(Email, to=[f"{name} <zoe@example.com>"])

    assert max(map(len, re.findall(rb"=\?utf-8[^ \r]+", text))) <= 75  # RFC 2047, 2
    folded = email.message_from_bytes(text)["To"]
    assert str(make_header(decode_header(folded))) == f"{name} <zoe@example.com>"


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "from_email"])
@pytest.mark.parametrize(
    "address", ["zoë@example.com", "Zoë <zoë@example.com>", "zoe@\u202eshop.example"]
)
def test_address_that_ses_cannot_send_with_makes_no_email(field, address):
    with pytest.raises(Unwritable, match="no email can be sent with the address in"):
        written(Email, **{field: address if field == "from_email" else [address]})


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "one\ntwo\n",
        "one\r\ntwo\rthree\n\n",
        "\n",
        "Käse 🧀\n",
        "From me to you\n.\n..\n",
        "x" * 998,
        "x" * 999,
        "é" * 499,
        "é" * 500,
        f"short\n{'long ' * 300}\nshort",
        "x" * 600 + "\u2028" + "x" * 600,
        "--===============0000000000000000000==--\n",
        "NUL \x00 \x1b",
        "half a character: \udce9",
    ],
)
@as_django
def test_body_is_written_as_django_writes_it(text):
    assert_same(text=text)
    assert_same(html=text)


@given(subject=header_text, name=header_text, text=lines, html=lines)
@as_django
def test_any_text_is_written_as_django_writes_it(subject, name, text, html):
    assert_same(subject=subject, text=text, html=html, headers={"X-Name": name})


@pytest.mark.parametrize("name", ["Ada", "Zoë & <Sons>", ".", "\n.\n", "a\r\nb\rc", "é" * 999])
def test_html_that_knows_its_bytes_is_written_as_any_other(name):
    data = {**templates.sample("verify_email").data, "customer": {"name": name, "email": "a@b.ch"}}
    html = templates.render("verify_email", data).html

    content = written(Email, html=html)

    assert NEW.sub(b"", content) == NEW.sub(b"", written(Email, html=str(html)))
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert isinstance(html, Html) == (name.isprintable() and len(name) < 99)


def test_html_that_knows_its_bytes_can_be_copied():
    html = templates.render("test_email", templates.sample("test_email").data).html
    assert isinstance(html, Html)
    copied = pickle.loads(pickle.dumps(html))  # noqa: S301  # our own

    assert (copied, copied.content) == (html, html.content)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"html": ""},
        {"to": []},
        {"to": ["ada@example.com", "bob@example.com"]},
        {"cc": ["bob@example.com"]},
        {"bcc": ["bob@example.com"]},
        {"reply_to": ["bob@example.com"]},
        {"reply_to": ["Zoë <bob@example.com>", "eve@example.com"], "to": []},
        {"headers": {"From": "Other <other@example.com>"}},
        {"headers": {"date": "today", "MESSAGE-ID": "<mine>"}},
        {"headers": {"X-SES-MESSAGE-TAGS": "nid=1, att=2", "X-SES-CONFIGURATION-SET": "set"}},
        {"headers": {"X-Number": 7}},
        {"attachments": [("bill.txt", "one mug", "text/plain")]},
    ],
)
@as_django
def test_other_kinds_of_email_are_those_of_django(fields):
    assert_same(**fields)


@pytest.mark.parametrize(
    "evil",
    [
        "a\nBcc: eve@example.com",
        "a\rBcc: eve",
        "a\r\n\r\nbody",
        "\n",
        "a\x0bBcc: eve",
        "a\x1daa\x1c",
    ],
)
@pytest.mark.parametrize("field", ["subject", "from_email", "to", "reply_to", "name", "value"])
def test_no_text_becomes_a_header(field, evil):
    fields = {
        "subject": {"subject": evil},
        "from_email": {"from_email": evil},
        "to": {"to": [evil]},
        "reply_to": {"reply_to": [evil]},
        "name": {"headers": {evil: "value"}},
        "value": {"headers": {"X-Name": evil}},
    }[field]

    with pytest.raises(Unwritable):
        written(Email, **fields)


LONG = f"https://shop.example.com/leave/{'x1;y2,z3=%20' * 12}"


# RFC 2369, section 2, and RFC 8058, section 3.1; the bytes are the same whatever Django's version.
@pytest.mark.parametrize(
    ("value", "right"),
    [
        (f"<{LONG}>", f"List-Unsubscribe: <{LONG}>\r\n"),
        (
            f"<mailto:leave@example.com?subject=a,b>, <{LONG}>",
            f"List-Unsubscribe: <mailto:leave@example.com?subject=a,b>,\r\n <{LONG}>\r\n",
        ),
        ("<https://a.example/>", "List-Unsubscribe: <https://a.example/>\r\n"),
    ],
)
def test_address_in_a_list_header_is_neither_broken_nor_encoded(value, right):
    headers = {"List-Unsubscribe": value, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

    content = written(Email, headers=headers)

    assert f"\r\n{right}".encode() in content
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in content
    assert email.message_from_bytes(content)["List-Unsubscribe"].replace("\r\n", "") == value


@pytest.mark.parametrize("value", ["<https://a.example/ü>", f"<https://a.example/{'x' * 999}>"])
def test_list_header_that_no_line_can_carry_is_refused(value):
    with pytest.raises(Unwritable):
        written(Email, headers={"List-Unsubscribe": value})


@pytest.mark.parametrize("name", ["", "X Name", "X-Name:", "X-Näme", "X-Name\x00"])
def test_name_that_no_header_has_is_refused(name):
    with pytest.raises(Unwritable):
        written(Email, headers={name: "value"})


@given(subject=header_text, value=header_text)
def test_headers_are_those_that_were_given(subject, value):
    message = email.message_from_bytes(
        written(Email, subject=subject, headers={"X-Name": value}), policy=email.policy.default
    )

    assert message.keys() == [
        "Content-Type",
        "MIME-Version",
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "X-Name",
    ]
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_two_emails_share_neither_boundary_nor_id():
    first, second = NEW.findall(written(Email)), NEW.findall(written(Email))

    assert first[0] != second[0]
    assert first[-2:] != second[-2:]


def test_header_set_after_the_message_was_made_is_in_the_next():
    message = Email("Your order", "Thank you", SENDER, ["ada@example.com"])
    message.attach_alternative("<p>Thank you</p>", "text/html")
    message.message()

    message.extra_headers["X-SES-CONFIGURATION-SET"] = "late"

    assert b"\nX-SES-CONFIGURATION-SET: late\n" in message.message().as_bytes()


def test_policy_says_how_lines_end_as_django_6_asks():
    message = Email("Your order", "Thank you", SENDER, ["ada@example.com"])
    message.attach_alternative("<p>Thank you</p>", "text/html")

    asked, told = message.message(policy=email.policy.SMTP), message.message()

    assert told.as_bytes(policy=email.policy.SMTP) == told.as_bytes(linesep="\r\n")
    assert asked.as_bytes() == asked.as_bytes(linesep="\r\n")
    assert b"\r" not in told.as_bytes()
