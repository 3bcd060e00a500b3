"""The editor of templates is made from its source by ``make editor``, and nobody changed either alone."""

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCK = (ROOT / "infra/editor/editor.sha256").read_text().splitlines()


@pytest.mark.parametrize("line", LOCK)
def test_the_editor_is_what_was_made_of_its_source(line):
    digest, file = line.split("  ")

    assert hashlib.sha256((ROOT / file).read_bytes()).hexdigest() == digest, "run: make editor"


def test_the_licences_of_what_is_in_it_come_with_it():
    texts = (ROOT / "emails/static/emails/editor.LICENSE.txt").read_text()

    assert "@codemirror/view" in texts and "@lezer/html" in texts
