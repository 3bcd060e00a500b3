import logging

import pytest

from notifier.monitoring.log_lines import MaskingFormatter, NoAssets
from queues import masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("not verified: ada@example.com", "not verified: a***@e***.com"),
        ("Ada <ada.lovelace+bank@mail.example.co.uk>", "Ada <a***@m***.example.co.uk>"),
        ("event=0195 queue=orders", "event=0195 queue=orders"),
        ("to o'hara/x@example.com", "to o***@e***.com"),
        ("ada@localhost and ada@[127.0.0.1]", "a***@l*** and a***@1***.0.0.1]"),
        ("a@b.example,c@d.example", "a***@b***.example,c***@d***.example"),
    ],
)
def test_addresses_are_masked_and_the_rest_is_kept(text, masked):
    assert masking.addresses(text) == masked


def test_traceback_is_masked_too():
    try:
        raise ValueError("ada@example.com")
    except ValueError as exc:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (type(exc), exc, None))

    assert "ada@example.com" not in MaskingFormatter().format(record)


def test_nobody_writes_a_line_of_their_own():
    record = logging.LogRecord("x", logging.INFO, "", 0, "subject=%s", ("a\r\nINFO forged",), None)

    assert MaskingFormatter().format(record) == r"subject=a\r\nINFO forged"


@pytest.mark.parametrize(
    ("line", "status", "kept"),
    [
        ("GET /static/notifier/site.css HTTP/1.1", "200", False),
        ("GET /static/notifier/site.css HTTP/1.1", "304", False),
        ("GET /static/notifier/lost.css HTTP/1.1", "404", True),
        ("GET /admin/ HTTP/1.1", "200", True),
        ("POST / HTTP/1.1", "302", True),
    ],
)
def test_development_server_logs_no_static_files_that_were_found(line, status, kept):
    record = logging.LogRecord(
        "django.server", logging.INFO, "", 0, '"%s" %s %s', (line, status, "1"), None
    )

    assert NoAssets().filter(record) is kept


def test_line_without_arguments_is_kept():
    record = logging.LogRecord("django.server", logging.INFO, "", 0, "Broken pipe", (), None)

    assert NoAssets().filter(record)
