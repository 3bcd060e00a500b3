import json
import re
from typing import Any

import pytest

from queues import characters
from queues.errors import BadEnvelope, EventTooLarge
from queues.events.envelope import Event, EventData, cleaned_object, data_types
from tests.support.parcels import ParcelPacked


def body(**fields):
    envelope = {"source": "/t", "type": "parcel.packed.v1", "data": {"note": "x"}}
    return json.dumps(envelope | fields)


def test_envelope_survives_the_way_to_json_and_back():
    event = Event.of(ParcelPacked(note="Zoë 😀"), subject="P-1", partition_key="g")

    assert Event.from_json(event.to_json()) == event


def test_what_the_model_does_not_know_is_dropped():
    event = Event.from_json(body(data={"note": "x", "more": "y" * 1000}))

    assert event.data == {"note": "x"}


@pytest.mark.parametrize(
    "text",
    [
        body(data={"note": "a\0b"}),
        body(subject="a\0"),
        body(subject="\ud800"),
        body(data={"note": "x", "more": ["\udfff"]}),
        body().replace('"x"', "NaN"),
        body().replace('"x"', "Infinity"),
        body().replace('"x"', "1e999"),
        body(source="s" * 201),
        body(type="t" * 101),
        body(id="not a uuid"),
        body(specversion="0.3"),
        body(time="yesterday"),
    ],
)
def test_envelope_that_no_database_keeps_is_rejected(text):
    with pytest.raises(BadEnvelope):
        Event.from_json(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (body().replace('"source"', '"id": "x", "id": "y", "source"'), "id"),
        (body().replace('{"note": "x"}', '{"note": "x", "note": "y"}'), "data.note"),
        (body().replace('"x"', '[{"a": {"b": 1, "b": 1}}]'), "data.note.0.a.b"),
        (body()[:-1] + ', "data": {"a": 1, "a": 2}}', "data"),
    ],
)
def test_name_that_stands_twice_is_rejected_with_its_path(text, path):
    with pytest.raises(BadEnvelope, match=f"not JSON: {re.escape(path)} stands twice"):
        Event.from_json(text)


@pytest.mark.parametrize("char", ["\ufffe", "\uffff", "\x01", "\x0b", "\x1f"])
def test_text_that_sqs_refuses_is_escaped_in_the_message(char):
    event = Event.of(ParcelPacked(note=f"a{char}b"), subject="P-1", partition_key="g")

    assert characters.is_taken_by_sqs(event.to_json())
    assert Event.from_json(event.to_json()) == event


def test_text_that_only_looks_like_an_escape_is_kept():
    assert Event.from_json(body(data={"note": r"\u0000 \ud800"})).data["note"] == r"\u0000 \ud800"


def test_error_names_the_field_and_not_its_value():
    with pytest.raises(BadEnvelope) as caught:
        Event.from_json(body(subject=["ada@example.com"]))

    assert "subject" in str(caught.value)
    assert "ada@example.com" not in str(caught.value)


def test_type_of_two_models_is_an_error_that_names_the_first():
    with pytest.raises(
        TypeError, match="parcel.packed.v1 is already defined by tests.support.parcels.ParcelPacked"
    ):

        class Packed(EventData, type="parcel.packed.v1", queue="transactions", source="/tests"):
            pass

    assert data_types()["parcel.packed.v1"] is ParcelPacked


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (r'"a\u0000b"', "a\ufffdb"),
        (r'"a\ud800"', "a\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        ('"a\x01\x1b\nb"', "a\x01\x1b\nb"),
        ("NaN", "NaN"),
        ("-1e999", "-1e999"),
        ("9" * 5000, "9" * 5000),
        (r'{"\u0000": [{"x": "\udfff"}]}', {"\ufffd": [{"x": "\ufffd"}]}),
    ],
)
def test_what_no_database_stores_is_replaced_in_what_others_wrote(value, read):
    assert cleaned_object(f'\ufeff{{"kept": 1.5, "odd": {value}}}') == {"kept": 1.5, "odd": read}


@pytest.mark.parametrize("depth", [99, 100, 5000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), (r'{"a]\"":', "}")])
def test_what_is_nested_too_deeply_is_left_out_and_the_rest_is_read(depth, opens, closes):
    nested = opens * depth + "1" + closes * depth

    value = cleaned_object(f'{{"before": [1], "odd": {nested}, "after": {{"b": 2}}}}')

    assert (value["before"], value["after"]) == ([1], {"b": 2})
    assert ("…" in json.dumps(value["odd"], ensure_ascii=False)) == (depth > 99)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{", "[" * 5000, '"' + "[" * 5000, "]" * 200 + "["]
)
def test_what_is_no_json_object_is_rejected_however_it_is_read(text):
    with pytest.raises(BadEnvelope):
        cleaned_object(text)


def test_error_of_an_event_that_is_too_large_counts_bytes():
    event = Event(source="/t", type="t.v1", data={"text": "𝕏" * 20_000})

    with pytest.raises(EventTooLarge, match=r" 8[0-9]{4} bytes, at most 65536"):
        event.to_json()


# --- The fast reader and the slow one say the same


class Anything(EventData, type="anything.v1", queue="orders", source="/t"):
    value: Any = None


def anything(value):
    """A body with this JSON text as a value."""
    return f'{{"source": "/t", "type": "anything.v1", "data": {{"value": {value}}}}}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("-0", 0),
        ("0.1", 0.1),
        ("1E5", 100000.0),
        ("1e-999", 0.0),
        (r'"\u003a:\u003A"', ":::"),
        (r'"\ud83d\ude00 \u00eb"', "😀 ë"),
        (r'"\\u0000 \" \":"', '\\u0000 " ":'),
        ('{"a:b": [":", {}], "": ":"}', {"a:b": [":", {}], "": ":"}),
        ("[" * 150 + "]" * 150, None),
        ("[" + "{}, " * 300 + "{}]", [{}] * 301),
        (' \t\r\n"\x7f\u2028" ', "\x7f\u2028"),
    ],
)
def test_value_is_read_exactly_whichever_reader_has_to(text, value):
    read = Event.from_json(anything(text)).data["value"]

    if value is not None:
        assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "-Infinity", "1e999", "01", "1.", "'a'", '"\x01"', '"\0"', r'"\u0000"', r'"\ud800"', '"\ud800"',
        "[1,]", '{"a": 1, "a": 1}', r'{"a": 1, "\u0061": 1}', r'{"a": ":", "a": "\u003a"}', '{"a" :1,"a" :1}',
        '{"": 1, "": ":"}', "1} {", "\x0c1", "[" * 100_000,
    ],
)  # fmt: skip
def test_value_that_is_no_plain_json_is_refused_whichever_reader_has_to(text):
    with pytest.raises(BadEnvelope):
        Event.from_json(anything(text))


@pytest.mark.parametrize(
    "body", ["\ufeff" + anything(1), "", "[]", "null", '"text"', anything(1) + "x"]
)
def test_body_that_is_no_object_is_refused(body):
    with pytest.raises(BadEnvelope, match="^(not JSON: |a JSON )"):
        Event.from_json(body)
