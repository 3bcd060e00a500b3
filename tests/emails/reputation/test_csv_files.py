"""A file of suppressed addresses loses nothing silently: each line is taken, or refused with its number."""

from __future__ import annotations

import codecs
import csv
import io
from datetime import UTC, datetime

import pytest

from emails.models import Suppression
from emails.reputation import csv_files, csv_text, imports
from emails.reputation.suppressions import Source
from queues.audit import csv_cells
from tests.support.rows import make_suppression

ADA = "ada@example.com"


def read(content):
    raw = content if isinstance(content, bytes) else content.encode()
    return csv_files.read(raw, reason="r", by="b")


def addresses(content):
    found = read(content)
    assert not found.problem, found.problem
    return [entry.address for entry in found.entries]


def wrong(content):
    return read(content).wrong


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('email,reason\nada@example.com,"550 unknown user\ngrace@example.com,gone\n', "Line 2"),
        ('email\n\n"ada@example.com\n', "Line 3"),
        ('email,reason\na@example.com,x\n"b@example.com,"y"\n', "Line 3"),
        ('sep=,\nemail,reason\na@example.com,"x\n', "Line 3"),
        (
            'email,reason\na@example.com,"550 x\nb@example.com,gone\nc@example.com,"\n',
            "line 2 to line 4",
        ),
    ],
)
def test_a_quote_that_does_not_fit_is_refused_with_its_line(content, line):
    found = read(content)

    assert line in found.problem
    assert found.entries == []


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\u200b",
        "ada@exam\u00adple.com",
        "\ufeffada@example.com\u00a0",
    ],
)
def test_invisible_letters_are_taken_off_an_address(address):
    assert addresses(f"email\n{address}\n") == [ADA]


def test_an_invisible_joiner_is_refused_where_no_script_joins():
    assert read("email\nada@example\u200d.com\n").wrong == [2]


# RFC 5892, A.1: in this script the joiner makes another domain.
def test_a_joiner_stays_where_its_script_needs_it():
    assert addresses("email\nada@نامه\u200cای.example\n") == ["ada@xn--mgba3gch31f060k.example"]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('email,reason\nada@example.com,"550 first\nsecond"\nnobody,x\n', [4]),
        ("\n\nemail\n\nnobody\n", [5]),
        ("sep=;\r\nemail;x\r\nnobody;1\r\n", [3]),
        ("email\rada@example.com\rnobody\r", [3]),
        ("ada@example.com\nx\n,,\n \ny@\n", [2, 5]),
        ("reason,email\nx\n", [2]),
        ("email\n" + "a" * 250 + "@example.com\n", [2]),
        ("email\nada@exa\0mple.com\n", [2]),
    ],
)
def test_refused_lines_are_counted_as_an_editor_counts_them(content, lines):
    assert wrong(content) == lines


@pytest.mark.parametrize("control", ["\0", "\x07", "\x1b", "\u2028"])
def test_a_reason_loses_its_control_characters(control):
    [entry] = read(f"email,reason\nada@example.com,a{control}b\n").entries

    assert entry.reason == "a b"


@pytest.mark.parametrize(
    "content",
    [
        "email;reason\nada@example.com;gone\n",
        "sep=;\r\nemail;reason\r\nada@example.com;gone\r\n",
        "sep=|\nemail|reason\nada@example.com|gone\n",
        "email\treason\nada@example.com\tgone\n",
        '"email";"reason"\n"ada@example.com";"gone"\n',
        "reason,email,x;y\ngone,ada@example.com,z\n",
        "email,reason;words\nada@example.com,gone\n",
        "\n\n;\n  \nreason;email\ngone;ada@example.com\n",
    ],
)
def test_the_separator_is_found_out(content):
    [entry] = read(content).entries

    assert (entry.address, entry.source) == (ADA, Source.IMPORT)
    assert entry.reason in ("gone", "r")


@pytest.mark.parametrize(
    "content",
    [
        "ada@example.com;gone\ngrace@example.com;gone\n",
        "Ada,ada@example.com\nGrace,grace@example.com\n",
    ],
)
def test_a_file_without_heading_holds_an_address_in_its_first_line(content):
    assert addresses(content) == [ADA, "grace@example.com"]
    assert "No heading" in read(content).notes[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # aws sesv2 list-suppressed-destinations, its fields as columns.
        ("EmailAddress,Reason,LastUpdateTime\nada@example.com,BOUNCE,2026-01-01\n", "BOUNCE"),
        # aws sesv2 … --output text
        ("ada@example.com\tBOUNCE\n", "r"),
        # Postmark, suppression dump.
        (
            "EmailAddress,SuppressionReason,Origin,CreatedAt\nada@example.com,HardBounce,Recipient,x\n",
            "HardBounce",
        ),
        # SendGrid, bounces.
        ("status,reason,email,created\n5.1.1,550 no,ada@example.com,1600000000\n", "550 no"),
        # Mailgun, bounces; unsubscribes.
        (
            "address,code,error,created_at\nada@example.com,550,No such mailbox,x\n",
            "No such mailbox",
        ),
        ("address,tags,created_at\nada@example.com,*,x\n", "r"),
        # Mailchimp: its "Address" is a postal one.
        (
            'Email Address,First Name,Address,UNSUB_REASON\nada@example.com,Ada,"12 Square, London",NORMAL\n',
            "NORMAL",
        ),
        # Brevo.
        ("EMAIL;PRENOM;NOM\nada@example.com;Ada;L\n", "r"),
        # SparkPost.
        (
            "recipient,type,source,description\nada@example.com,transactional,Bounce Rule,550\n",
            "550",
        ),
        ("name,address,email\nAda,12 Square,ada@example.com\n", "r"),
        ("\nreason,email\ngone,ada@example.com\n", "gone"),
        ("E-Mail ; Reason \nada@example.com;gone\n", "gone"),
    ],
)
def test_headings_of_other_services_are_known(content, reason):
    [entry] = read(content).entries

    assert (entry.address, entry.reason) == (ADA, reason)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("email,reason\nada@example.com,é\n".encode(), ""),
        (codecs.BOM_UTF8 + "email,reason\nada@example.com,é\n".encode(), ""),
        (codecs.BOM_UTF16_LE + "email\treason\r\nada@example.com\té\r\n".encode("utf-16-le"), ""),
        (codecs.BOM_UTF16_BE + "email;reason\nada@example.com;é\n".encode("utf-16-be"), ""),
        (codecs.BOM_UTF32_LE + "email;reason\nada@example.com;é\n".encode("utf-32-le"), ""),
        (
            "email,reason\nada@example.com,é\n".encode("cp1252"),
            "not UTF-8 (line 2), so it was read as Windows-1252",
        ),
        (b"email,reason\nada@example.com,\x81\xe9\n", "Latin-1"),
    ],
)
def test_encodings_of_spreadsheets_are_read(content, note):
    found = read(content)

    assert [entry.address for entry in found.entries] == [ADA]
    assert "é" in found.entries[0].reason
    assert note in found.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (codecs.BOM_UTF16_LE + b"a", "begins as UTF-16-LE and is not"),
        ("email\nada@example.com\n".encode("utf-16-le"), "not CSV in UTF-8"),
        (b"PK\x03\x04 and so on", "Excel workbook"),
        (b'{"SuppressedDestinationSummaries": []}', "JSON"),
        (b"name,phone\nAda,1\n", "no column “email”"),
        (b"email,Email\na@example.com,b@example.com\n", "two columns"),
        (b'"' + b"x" * 200_000, "not CSV"),
        (b"a@example.com\n" * (csv_files.MAX_ROWS + 1), "more than 100,000 lines"),
        (b"\n \n\t\n", "empty"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content, words):
    found = read(content)

    assert words in found.problem
    assert found.entries == []


def test_an_address_on_several_lines_counts_once():
    found = read("email,reason\nada@example.com,first\nADA@example.com,second\n")

    assert [(entry.address, entry.reason) for entry in found.entries] == [(ADA, "first")]
    assert found.repeated == 1


@pytest.mark.parametrize(
    "text", ["=cmd()", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'=x", "''+x", "'x", "＝x", "x\r\ny "]
)
def test_a_cell_is_no_formula_and_comes_back_as_it_was(text):
    cell = csv_cells.safe(text)

    assert not cell.startswith(csv_cells._FORMULA)
    assert csv_cells.plain(cell) == text


COLUMNS = [*csv_files.COLUMNS]


@pytest.mark.django_db
def test_an_export_comes_back_unchanged_into_an_empty_installation():
    since = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
    make_suppression(address="+1@example.com", reason="=cmd()", since=since)
    make_suppression(
        address="Ada@example.com",
        reason='\'=x, “quoted” "550\r\nsecond" ',
        added_by="root",
        source="staff",
    )
    make_suppression(
        address="b@example.com", reason="", state="lifted", lifted_at=since, source="complaint"
    )
    make_suppression(address="c@example.com", source="ses", reason="Listed by SES: bounce.")
    make_suppression(address="d@example.com", source="import", added_by="@root")
    before = list(Suppression.objects.order_by("address").values(*COLUMNS))
    content = "".join(csv_files.write(Suppression.objects.order_by("id")))
    Suppression.objects.all().delete()

    found = read(content)
    done = imports.perform(found.entries, reactivate=True)

    assert (found.refused, found.repeated, found.problem) == ([], 0, "")
    assert list(Suppression.objects.order_by("address").values(*COLUMNS)) == before
    assert (done.added, done.added_as_lifted) == (4, 1)


@pytest.mark.django_db
def test_an_export_changes_nothing_where_it_comes_from():
    make_suppression(address="a@example.com")
    make_suppression(
        address="b@example.com", state="lifted", lifted_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    before = list(Suppression.objects.order_by("address").values())
    content = "".join(csv_files.write(Suppression.objects.all()))

    done = imports.perform(read(content).entries, reactivate=False)

    assert list(Suppression.objects.order_by("address").values()) == before
    assert done == imports.Effects(unchanged=2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("ada@example.com,odd,bounce,r,,,", "state “odd”"),
        ("ada@example.com,active,odd,r,,,", "source “odd”"),
        ("ada@example.com,lifted,bounce,r,,,", "no time in “lifted_at”"),
        ("ada@example.com,lifted,bounce,r,,,soon", "not a time"),
        ("ada@example.com,active,bounce,r,2026-01-01T00:00:00,,", "no time with a zone"),
        ("ada@example.com,active,bounce,r,9999-12-31T23:59:59-05:00,,", "the years 1970 to 9000"),
        ("ada@example.com,active,bounce,r,0001-01-01T00:00:00+14:00,,", "the years 1970 to 9000"),
    ],
)
def test_an_export_that_somebody_edited_wrongly_is_refused_by_the_line(row, words):
    [refused] = read(f"{','.join(COLUMNS)}\n{row}\n").refused

    assert refused.line == 2
    assert words in refused.why


def test_a_hundred_thousand_lines_are_read():
    rows = "".join(f"u{number}@example.com,550\r\n" for number in range(csv_files.MAX_ROWS))

    assert len(read(f"email,reason\r\n{rows}").entries) == csv_files.MAX_ROWS


def test_rows_are_those_of_pythons_csv_where_nothing_is_unclear():
    buffer = io.StringIO()
    rows = [["a", 'b"c', "d\r\ne"], ["", "x,y;z\t", "“"], ["1", "2", "3"]]
    csv.writer(buffer).writerows(rows)

    assert [list(row) for _, row in csv_text.rows(buffer.getvalue(), ",")] == rows
