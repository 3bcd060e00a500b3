"""docs/how-to/templates-in-code-and-admin.md: its commands work, and the doctor says what its table says."""

import inspect
import re
import shlex
import shutil

import pytest
from django.core.management import call_command

from emails.doctor import checks
from emails.doctor import templates as doctor
from emails.models import TemplateDraft
from emails.rendering import templates
from emails.versions import in_force, publishing
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "how-to" / "templates-in-code-and-admin.md").read_text()
NAME = "order_confirmation"


@pytest.mark.django_db
def test_commands_of_the_page_take_the_text_of_staff_to_files_and_back(
    tmp_path, monkeypatch, settings
):
    folder = tmp_path / "templates" / "emails"
    shutil.copytree(templates.engine().template_dirs[0], folder)
    monkeypatch.chdir(tmp_path)
    settings.TEMPLATES = [
        {**each, "DIRS": [folder]} if each.get("NAME") == "handlebars" else each
        for each in settings.TEMPLATES
    ]
    files = templates.own_sources(NAME) | {"subject.hbs": "Packed: {{order_number}}\n"}
    publishing.publish(NAME, files, by="ada", why="")
    in_force.forget()
    lines = re.findall(r"^ *\$ \.venv/bin/python manage\.py (.+)$", PAGE, flags=re.MULTILINE)

    for line in lines:
        call_command(*shlex.split(line))

    assert len(lines) == 5
    assert (folder / NAME / "subject.hbs").read_text() == "Packed: {{order_number}}\n"
    assert [each.key for each in doctor.look()] == ["templates.caught_up"]
    assert not TemplateDraft.objects.exists()


def test_the_doctor_says_what_the_page_says():
    source = inspect.getsource(doctor) + inspect.getsource(checks)
    said = re.findall(r"^\| \*(.+)\* \|", PAGE, flags=re.MULTILINE)

    for words in said:
        for part in words.split("…"):
            assert part.strip(" ,") in source, words
    assert len(said) == 6
