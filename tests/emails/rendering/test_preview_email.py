import json

import pytest
from django.core.management import CommandError, call_command

from emails.rendering import templates


def preview(capsys, *arguments):
    call_command("preview_email", *arguments)
    return capsys.readouterr().out


def test_lists_the_templates_without_a_name(capsys):
    out = preview(capsys)

    assert out.split() == templates.names()


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_shows_one_part_of_the_sample(part, capsys):
    sample = templates.sample("order_confirmation")
    rendered = templates.render("order_confirmation", sample.data)

    out = preview(capsys, "order_confirmation", "--format", part)

    assert out.rstrip("\n") == getattr(rendered, part).rstrip("\n")


def test_shows_every_part_by_default(capsys):
    out = preview(capsys, "transaction_alert")

    assert out.startswith("Subject: Transaction Alert: $150.00 credited\n\n$150.00 was credited")
    assert out.rstrip().endswith("</html>")


def test_unknown_name_lists_those_there_are():
    with pytest.raises(CommandError, match=", ".join(templates.names())):
        call_command("preview_email", "nothing")


def test_takes_data_from_a_file(capsys, tmp_path):
    data = {**templates.sample("transaction_alert").data, "amount_cents": 4200}
    (tmp_path / "data.json").write_text(json.dumps(data))

    out = preview(
        capsys, "transaction_alert", "--format=subject", f"--data={tmp_path / 'data.json'}"
    )

    assert out == "Transaction Alert: $42.00 credited\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "the data has no"),
        (b'{"a": {"b": 1, "b": 2}}', "a.b stands twice"),
        (b"[]", "not a JSON object"),
        (b"{", "Expecting property name"),
        (b"\xff", "utf-8"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_says_what_is_wrong_with_the_data(content, reason, tmp_path):
    (tmp_path / "data.json").write_bytes(content)

    with pytest.raises(CommandError, match=reason):
        call_command("preview_email", "verify_email", f"--data={tmp_path / 'data.json'}")


def test_data_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("preview_email", "verify_email", f"--data={tmp_path / 'none.json'}")


def test_writes_to_a_file(capsys, tmp_path):
    path = tmp_path / "email.html"

    out = preview(capsys, "verify_email", "--format=html", f"--output={path}")

    assert out == f"wrote {path}\n"
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_output_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("preview_email", "verify_email", f"--output={tmp_path}")


def test_shows_the_language_that_is_asked_for(capsys):
    assert preview(capsys, "order_confirmation", "--locale", "de-AT", "--format", "subject") == (
        "Ihre Bestellung ORD-000123 ist bestätigt\n"
    )
