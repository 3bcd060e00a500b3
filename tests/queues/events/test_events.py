import json
import re

import pytest

from queues import characters
from queues.errors import BadEnvelope
from queues.events.envelope import Event, EventData, data_types
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
