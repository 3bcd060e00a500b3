"""Templates to files and back: manage.py export_templates and import_templates."""

import os
import shutil
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from emails.models import TemplateDraft, TemplateVersion
from emails.rendering import templates
from emails.versions import editions, in_force, publishing

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
LAYOUT = "partials/layout"
OWN = templates.own_sources(NAME)
SUBJECT = {"subject.hbs": "Order {{order_number}} is packed\n"}
FRENCH = {f"fr/{name}": text for name, text in OWN.items() if "/" not in name}


@pytest.fixture
def code(tmp_path, settings):
    """A copy of the deployed templates, which are these from now on."""
    folder = tmp_path / "code"
    shutil.copytree(templates.engine().template_dirs[0], folder)
    deploy(settings, folder)
    return folder


def deploy(settings, folder):
    settings.TEMPLATES = [
        {**each, "DIRS": [folder]} if each.get("NAME") == "handlebars" else each
        for each in settings.TEMPLATES
    ]
    in_force.forget()


def publish(name=NAME, **files):
    sources = {**OWN, **files} if name == NAME else files
    return publishing.publish(name, sources, by="ada", why="a try")


def export(*arguments, to):
    call_command("export_templates", *arguments, to=to)


def load(*arguments):
    call_command("import_templates", *map(str, arguments))


def open_draft():
    return TemplateDraft.objects.get(name=NAME)


def decided(name=NAME) -> Any:
    return in_force.decided(name)


def publish_files(*arguments):
    load(*arguments, "--publish", "--by=ada", "--why=from files")


def revisions():
    return {name: row.revision for name, row in in_force._read().items()}


def test_what_was_exported_and_imported_changes_nothing(tmp_path, capsys):
    publish(**SUBJECT, **FRENCH)
    publish(LAYOUT, **{"source.hbs": templates.partials()["partials/layout.hbs"] + "\n"})
    before = revisions()

    export(to=tmp_path)
    assert sorted(os.listdir(tmp_path)) == [NAME, "partials"]
    assert (tmp_path / NAME / "fr" / "subject.hbs").read_text() == OWN["subject.hbs"]
    capsys.readouterr()
    publish_files(tmp_path)
    load(tmp_path)

    assert capsys.readouterr().out.splitlines() == ["No difference."] * 2 + ["0 draft(s) saved."]
    assert revisions() == before
    assert not TemplateDraft.objects.exists()


def test_code_with_the_text_of_staff_makes_the_same_version_again(code):
    publish(LAYOUT, **{"source.hbs": templates.partials()["partials/layout.hbs"] + "\n"})
    version = publish(**{"subject.hbs": "Packed: {{order_number}}\r\n"})
    email = in_force.render(NAME, templates.sample(NAME).data)
    edition = in_force.edition(NAME)

    export(to=code)
    publishing.roll_back(NAME, None, by="bob", why="the code has caught up")
    publishing.roll_back(LAYOUT, None, by="bob", why="the code has caught up")

    assert decided().published is None
    assert in_force.version_id(NAME) == version.pk
    assert in_force.edition(NAME) == edition
    assert in_force.render(NAME, templates.sample(NAME).data) == email


def test_an_export_deletes_the_files_that_the_version_has_not(code, capsys):
    publishing.publish(
        NAME, {name: OWN[name] for name in ("subject.hbs", "body.html.hbs")}, by="ada", why="short"
    )
    (code / NAME / "notes.md").write_text("kept")

    export("--dry-run", to=code)
    assert (code / NAME / "body.txt.hbs").exists()
    assert "  body.txt.hbs deleted\n" in capsys.readouterr().out
    export(to=code)

    assert sorted(os.listdir(code / NAME)) == [
        "body.html.hbs",
        "notes.md",
        "sample.json",
        "subject.hbs",
    ]


def test_an_export_takes_a_draft_or_an_earlier_version(tmp_path):
    publish(**{"subject.hbs": "First"})
    publish(**SUBJECT)
    publishing.roll_back(NAME, None, by="bob", why="")
    load(made(tmp_path / "new", subject="Drafted"))

    for arguments, subject in ((("--drafts",), "Drafted"), ((NAME, "--number=1"), "First")):
        export(*arguments, to=tmp_path / "out")
        assert (tmp_path / "out" / NAME / "subject.hbs").read_text() == subject


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["order_confirmaton"], 'Did you mean "order_confirmation"?'),
        (["partials/lay"], 'Did you mean "partials/layout"?'),
        ([NAME, "--number=7"], "has no version 7"),
        (["--number=7"], "the name of one template"),
        ([NAME, "--drafts"], "no open draft"),
    ],
)
def test_an_export_of_what_there_is_not_says_so(tmp_path, arguments, problem):
    with pytest.raises(CommandError) as refused:
        export(*arguments, to=tmp_path)

    assert problem in str(refused.value)
    assert not os.listdir(tmp_path)


def test_versions_whose_files_have_bad_names_are_not_written(tmp_path):
    for name in ("../x.hbs", "/x.hbs", "a/../../x.hbs", "x.py", "a/b/x.hbs"):
        version = editions.version_of(NAME, {name: "x"}, origin="staff")
        with pytest.raises(CommandError, match="no name of a file"):
            export(NAME, f"--number={version.number}", to=tmp_path)
    assert list(tmp_path.rglob("*.hbs")) == []


def made(folder, name=NAME, **parts):
    """Make a folder with one template."""
    files = OWN | {f"{part}.hbs": text for part, text in parts.items()}
    for file, text in files.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_an_import_makes_a_draft_and_says_what_differs(tmp_path, capsys):
    load(made(tmp_path, subject="New {{order_number}}"))

    draft = open_draft()
    assert draft.files == OWN | {"subject.hbs": "New {{order_number}}"}
    assert draft.by == "import_templates"
    assert capsys.readouterr().out == f"{NAME}\n  subject.hbs +1 -1\n1 draft(s) saved.\n"
    assert decided() is None


def test_an_import_that_publishes_names_who_and_why(tmp_path, capsys):
    publish_files(made(tmp_path, subject="New {{order_number}}"))

    version = TemplateVersion.objects.get(name=NAME)
    assert (version.origin, version.by, version.why) == ("import", "ada", "from files")
    assert in_force.version_id(NAME) == version.pk
    assert capsys.readouterr().out.endswith(f"{NAME} version 1 is in force.\n")
    with pytest.raises(CommandError, match="needs --by and --why"):
        load(tmp_path, "--publish")


def test_a_dry_run_imports_nothing(tmp_path, capsys):
    load(made(tmp_path, subject="New"), "--dry-run")

    assert "subject.hbs +1 -1" in capsys.readouterr().out
    assert not TemplateDraft.objects.exists()


def test_an_import_keeps_the_draft_of_somebody_else(tmp_path):
    load(made(tmp_path / "first", subject="First"), "--by=ada")
    second = made(tmp_path / "second", subject="Second")

    with pytest.raises(CommandError, match="ada has an open draft of order_confirmation"):
        load(second)
    assert open_draft().files["subject.hbs"] == "First"
    load(second, "--replace")
    assert open_draft().files["subject.hbs"] == "Second"


def test_an_import_with_an_error_names_file_line_and_column_and_imports_nothing(tmp_path, capsys):
    made(tmp_path, subject="New {{order_nmber}}")
    made(tmp_path, name="sign_in_link", subject="Good")

    with pytest.raises(CommandError, match=r"error\(s\). Nothing was imported"):
        load(tmp_path)

    assert (
        f'{tmp_path}/{NAME}/subject.hbs:1:7: error: the event has no "order_nmber".'
        in capsys.readouterr().err
    )
    assert not TemplateDraft.objects.exists()


def test_a_partial_that_breaks_templates_of_others_is_not_imported(tmp_path, capsys):
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "layout.hbs").write_text("{{> @partial-block}}{{order_number}}")

    with pytest.raises(CommandError):
        publish_files(tmp_path)

    lines = capsys.readouterr().err.splitlines()
    assert all(' error: there is no "order_number".' in line for line in lines)
    assert {line.split()[-3] for line in lines} >= {"sign_in_link", "transaction_alert"}
    assert NAME not in str(lines)


def test_partials_are_published_before_the_templates_that_use_them(tmp_path):
    made(tmp_path, subject="New")
    (tmp_path / "partials").mkdir()
    layout = templates.partials()["partials/layout.hbs"] + "<!-- new -->"
    (tmp_path / "partials" / "layout.hbs").write_text(layout)
    publish(**{"subject.hbs": "Old"})

    publish_files(tmp_path)

    assert in_force.sources(NAME)["partials/layout.hbs"] == layout
    assert in_force.sources(NAME)["subject.hbs"] == "New"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["order_confirmaton"], 'Did you mean "order_confirmation"?'),
        (["nowhere/"], "No template is called 'nowhere/'"),
        (["{folder}", "sign_in_link"], "has no files of sign_in_link"),
        (["{folder}/order_confirmation"], "the folder of one template"),
        (["{folder}", "{folder}/order_confirmation"], "one folder at a time"),
    ],
)
def test_an_import_of_what_there_is_not_says_so(tmp_path, arguments, problem):
    made(tmp_path)
    with pytest.raises(CommandError) as refused:
        load(*(each.format(folder=tmp_path) for each in arguments))

    assert problem in str(refused.value)


def test_an_unknown_template_is_refused_with_the_name_that_was_meant(tmp_path):
    with pytest.raises(CommandError, match='Did you mean "order_confirmation"?'):
        load(made(tmp_path, name="order_confirmations"))


@pytest.mark.parametrize("linked", [NAME, f"{NAME}/subject.hbs", f"{NAME}/ar", "partials"])
def test_no_link_is_followed(tmp_path, linked):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    made(elsewhere)
    made(folder, name="sign_in_link")
    (folder / NAME).mkdir() if "/" in linked else None
    (folder / linked).symlink_to(elsewhere / linked if "subject" in linked else elsewhere / NAME)
    before = {path: path.read_text() for path in elsewhere.rglob("*.hbs")}
    publish(**SUBJECT, **FRENCH)
    publish(LAYOUT, **{"source.hbs": templates.partials()["partials/layout.hbs"] + "\n"})

    for act in (lambda: load(folder), lambda: export(to=folder)):
        with pytest.raises(CommandError, match="is a link"):
            act()
    assert {path: path.read_text() for path in elsewhere.rglob("*.hbs")} == before


def test_what_is_no_file_or_no_text_is_not_read(tmp_path):
    path = made(tmp_path) / NAME / "subject.hbs"
    path.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="not UTF-8"):
        load(tmp_path)
    path.write_bytes(b"x" * 200_000)
    with pytest.raises(CommandError, match="more than 100 KB"):
        load(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CommandError, match="not a file"):
        load(tmp_path)
