"""The pages of commands and settings say what the code says."""

import re

from infra import reference_pages
from tests.docs.pages import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()


def test_page_of_commands_is_up_to_date():
    assert (reference_pages.FOLDER / "commands.md").read_text() == reference_pages.commands_page()


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
