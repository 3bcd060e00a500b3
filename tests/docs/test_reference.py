"""The pages of commands and settings say what the code says."""

import ast
import re

from django.core.management import get_commands

from infra import reference_pages
from tests.docs.pages import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()


def test_page_of_commands_is_up_to_date():
    assert (reference_pages.FOLDER / "commands.md").read_text() == reference_pages.commands_page()


def test_page_of_commands_has_every_command():
    page = (reference_pages.FOLDER / "commands.md").read_text()
    ours = {name for name, app in get_commands().items() if app in reference_pages.APPS}

    assert "doctor" in ours
    assert [name for name in sorted(ours) if f"manage.py {name}" not in page] == []


def test_page_of_settings_is_up_to_date():
    assert (reference_pages.FOLDER / "settings.md").read_text() == reference_pages.settings_page()


def test_env_example_has_every_setting_once():
    named = [setting.name for setting in reference_pages.settings_of(EXAMPLE)]

    assert len(named) == len(set(named))
    assert set(named) - set(reference_pages.OUTSIDE) == reference_pages.defaults().keys()


def test_every_setting_is_described():
    assert [setting for setting in reference_pages.settings_of(EXAMPLE) if not setting.text] == []


def test_commented_lines_show_the_default():
    shown = {
        setting.name: setting.example
        for setting in reference_pages.settings_of(EXAMPLE)
        if not setting.is_set
    }
    defaults = {name: value for name, value in reference_pages.defaults().items() if value}

    wrong = {
        name: (shown[name], value)
        for name, value in defaults.items()
        if shown.get(name) and shown[name] != value.replace("<AWS_REGION>", "eu-west-1")
    }

    assert wrong == {}


def test_every_option_of_a_command_is_described():
    page = reference_pages.commands_page()

    assert re.findall(r"^\| `-.*\|  \|$", page, flags=re.MULTILINE) == ["| `--host HOST` |  |"]


def test_every_concern_of_the_overview_has_advice():
    code = (ROOT / "notifier" / "alerts" / "concerns.py").read_text()
    titles = re.findall(r'title=f?"([^"{]+)', code)
    page = (ROOT / "docs" / "how-to" / "watch-the-overview.md").read_text()

    assert titles
    assert [title for title in titles if title.split(":")[0].strip() not in page] == []


def test_every_line_of_the_log_page_is_logged():
    page = (ROOT / "docs" / "reference" / "log.md").read_text()
    rows = re.findall(r"^\| (`.*?) \| [a-z, ]+ \|", page, flags=re.MULTILINE)
    code = " ".join(_texts_of(app) for app in ("queues", "emails", "notifier", "orders"))

    lines = [line for row in rows for line in re.findall(r"`([^`]+)`", row)]
    # Without the values: those of "breaker … open" stand between words, others behind a "=".
    words = {line: re.split(r" ?…| \w+=|, next", line)[0].strip() for line in lines}

    assert lines
    missing = [
        line for line, word in words.items() if word not in code and not _is_made(word, code)
    ]
    assert missing == []


def _texts_of(app):
    """The texts in the code of an app, with those that are split over lines joined."""
    nodes = (
        node
        for file in (ROOT / app).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
    )
    return "\n".join(str(node.value) for node in nodes if isinstance(node, ast.Constant))


def _is_made(line, code):
    """Return True if a line is made of a name and a text: "relay failed", "is in_doubt"."""
    (verb, _, state), (name, _, text) = line.partition(" "), line.rpartition(" ")
    return (f"%s {text}" in code and name in code) or (f"{verb} %s" in code and state in code)
