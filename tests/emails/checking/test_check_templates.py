import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from emails.rendering import templates


@pytest.mark.parametrize("name", templates.names())
def test_templates_of_the_code_have_no_problem(name, capsys):
    call_command("check_templates", name)

    assert capsys.readouterr().out == "1 templates, no error\n"


def test_all_templates_are_checked_without_a_name(capsys):
    call_command("check_templates")

    assert capsys.readouterr().out == f"{len(templates.names())} templates, no error\n"


def test_command_names_file_line_and_column_and_fails(capsys, tmp_path, settings):
    write_template(tmp_path, settings, subject="Order {{order_nmber}}\n")

    with pytest.raises(CommandError, match=r"^1 error\(s\)"):
        call_command("check_templates", "broken")

    [line] = capsys.readouterr().out.splitlines()
    assert line == (
        'broken/subject.hbs:1:9: error: the event has no "order_nmber". '
        'Did you mean "order_number"?'
    )


def test_command_refuses_a_name_that_no_template_has():
    with pytest.raises(CommandError, match="No template is called 'nonsense'"):
        call_command("check_templates", "nonsense")


def write_template(tmp_path, settings, *, subject):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "subject.hbs").write_text(subject)
    (folder / "body.html.hbs").write_text('<p class="preheader">{{order_number}}</p>\n')
    (folder / "sample.json").write_text(
        '{"type": "order.placed.v1", "subject": "", "data": {"order_number": "ORD-1"}}'
    )
    settings.TEMPLATES = [
        {**each, "DIRS": [tmp_path]} if each.get("NAME") == "handlebars" else each
        for each in settings.TEMPLATES
    ]
