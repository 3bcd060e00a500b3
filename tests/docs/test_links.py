"""Links, paths, functions, commands and targets that the pages name exist."""

import re

import pytest

from infra import reference_pages
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, name, prose
from tests.test_architecture import FLOORS

_FOLDERS = "benchmarks|docs|emails|examples|infra|notifier|orders|queues|sandbox|templates|tests"
_FILES = "py|md|yaml|yml|json|html|hbs|conf|txt|in|toml|service"


@pytest.mark.parametrize("document", [*PAGES, ROOT / "CHANGELOG.md"], ids=name)
def test_every_link_leads_somewhere(document):
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(target)

    assert dead == []


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_every_path_of_ours_exists(document):
    named = re.findall(rf"`((?:{_FOLDERS})/[\w./-]+)(?=[`:])", document.read_text())

    missing = [path for path in named if path not in _made(document) and not (ROOT / path).exists()]

    assert missing == []


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_files_are_named_with_their_folders(document):
    bare = re.findall(rf"`(\w+\.(?:{_FILES}))`", prose(document))

    missing = [file for file in bare if file not in _made(document) and not (ROOT / file).exists()]

    assert missing == []


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_every_function_of_ours_exists(document):
    named = re.findall(r"`([\w/]+\.py): ([\w.]+)`", document.read_text())

    missing = [
        f"{file}: {function}"
        for file, function in named
        for name in function.split(".")
        if not re.search(rf"^ *(def|class) {name}\b|^{name}(:| =)", (ROOT / file).read_text(), re.M)
    ]

    assert missing == []


def test_floors_of_the_architecture_are_those_that_its_test_holds():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()

    rows = dict(re.findall(r"^\| `(\w+)` \| (1: .*) \|$", page, flags=re.MULTILINE))

    assert {app: re.findall(r"`(\w+)`", row) for app, row in rows.items()} == {
        app: " ".join(floors).split() for app, floors in FLOORS.items()
    }


def _made(document):
    """Files and folders that the page itself has its reader make, and the parts that each email has."""
    made = re.findall(r'^```\w+ title="([\w/.-]+)"$', document.read_text(), flags=re.MULTILINE)
    folders = {file.rpartition("/")[0] + "/" for file in made}
    return {*made, *folders, "subject.hbs", "body.html.hbs", "body.txt.hbs", "sample.json"}


@pytest.mark.parametrize("document", PAGES, ids=name)
def test_every_command_and_target_exists(document):
    text = document.read_text()
    commands = re.findall(r"manage\.py ([a-z]\w+)", text)
    targets = re.findall(r"(?:`|^[$#] )make ([a-z-]+)", text, flags=re.MULTILINE)
    django = {"check", "migrate", "makemigrations", "collectstatic", "createsuperuser", "shell"}

    known = reference_pages.manage_commands().keys() | django
    assert set(commands) - known == set()
    assert set(targets) - {target for target, _ in reference_pages.make_targets()} == set()


def test_index_and_site_have_every_page():
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    navigation = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))

    pages = {str(page.relative_to(ROOT / "docs")) for page in DOCS}
    assert linked == pages - {"index.md"}
    assert navigation == pages


@pytest.mark.parametrize("document", DOCS, ids=name)
def test_site_can_follow_every_link(document):
    outside = [
        target
        for target in re.findall(r"\]\(([^)#\s]+)", prose(document))
        if not target.startswith("http")
        and not (document.parent / target).resolve().is_relative_to(ROOT / "docs")
    ]

    assert outside == [], "the site has docs/ only: name other files in backticks"
