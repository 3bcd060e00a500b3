"""Source: SQS API reference, SendMessage, MessageBody."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queues import characters

ALL = [chr(code) for code in range(sys.maxunicode + 1)]


def test_sqs_takes_what_its_reference_names():
    taken = [
        (0x9, 0x9),
        (0xA, 0xA),
        (0xD, 0xD),
        (0x20, 0xD7FF),
        (0xE000, 0xFFFD),
        (0x10000, 0x10FFFF),
    ]

    right = {code for first, last in taken for code in range(first, last + 1)}

    assert {ord(char) for char in ALL if characters.is_taken_by_sqs(char)} == right


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_is_the_same_json_and_goes_through_sqs(value):
    text = characters.escaped(json.dumps(value, ensure_ascii=False))

    assert characters.is_taken_by_sqs(text)
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "text",
    ["Ada\uffff", "Ada\ufffe", "\ufdd0", "a\U0001ffff", "a\nb", "a\0b", "\u202eada", "\ud800"],
)
def test_one_line_has_no_control_and_no_noncharacter(text):
    assert not characters.is_one_line(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "Zoë",
        "नमस्\u200dते",
        "نامه\u200cای",
        "李",
        "👩\u200d💻",
        "❤\ufe0f",
        "\U00020000",
    ],
)
def test_names_of_people_are_lines_that_can_be_seen(text):
    assert characters.is_one_line(text)
    assert not characters.is_blank(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "\u200b", "\u034f", "\u2800\u2800", "\u2060", "\u00ad \u200b", "\u3164", "\uffa0", "\u115f\u1160",
     "\ufe0f", "\u200d", "\u200c\u200c", "\u3000", "\U000e0020", "\u180e", "\u061c", "\ufeff", "\u00a0", "\U0001d173"],
)  # fmt: skip
def test_text_of_invisible_characters_is_blank(text):
    assert characters.is_blank(text)
