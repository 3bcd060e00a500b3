"""The floor plan: which app, which folder and which module may import which."""

import ast
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "queues": set(),
    "orders": {"queues"},
    "emails": {"queues"},
    "sandbox": set(),
    "notifier": {"queues", "orders", "emails", "sandbox"},
}
# From the ground up; a room imports from its own floor and from those below.
FLOORS = {
    "queues": [
        "errors uuid7 masking backoff failpoints console online_migrations characters audit postgresql",
        "addresses",
        "events models threads",
        "answers",
        "registry",
        "aws",
        "outbox doctor",
        "dead_letters upkeep",
        "consumer redrives",
        "setting_rules checks pages",
        "management aws_lambda admin apps",
    ],
    "emails": [
        "errors events models",
        "rendering",
        "checking",
        "ses",
        "versions",
        "sending",
        "identities reputation transfer editing",
        "reports",
        "handlers figures sweeping dead_letters doctor rehearsal",
        "checks pages",
        "management admin apps",
    ],
    "orders": [
        "money validators errors",
        "events",
        "models",
        "access email_status figures foreign forms",
        "limits",
        "services",
        "api checks views pages",
        "management templatetags admin urls apps",
    ],
    "sandbox": [
        "errors",
        "ses sns sqs connection",
        "control name_server moto_patches",
        "server",
        "views ready keep_running",
        "management urls apps",
    ],
    "notifier": [
        "models web environment page_names",
        "journey alerts staff",
        "overview",
        "monitoring",
        "doctor incident",
        "templatetags formats views checks",
        "management admin urls apps settings wsgi",
    ],
}
FOLDERS = [*MAY_IMPORT, "benchmarks", "infra", "examples", "tests"]
MOST_MODULES = 16
MOST_TESTS = 12
# The folders and modules that may know botocore.
BORDERS = re.compile(
    r"queues/aws/|emails/ses/|notifier/alerts/sns\.py"
    # Configures the SDK; calls nothing.
    r"|notifier/settings\.py"
)
# What shows itself to a person: only pages, the admin and the addresses import it.
IS_PAGE = re.compile(r"/pages/|_page\.py$|/views\.py$")
SHOWS_PAGES = re.compile(r"/pages/|_page\.py$|/views\.py$|/admin\.py$|/urls\.py$")


@cache
def _modules(app):
    return sorted(path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


@cache
def _names(app):
    """The dotted name of each module of an app, and its file."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in _modules(app)
    }


@cache
def _imported(path):
    """The dotted names that a module imports, those for type checking included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _module(name):
    """The module of ours that an imported name is, or is in; None for those of others."""
    names = _names(name.split(".")[0]) if name.split(".")[0] in MAY_IMPORT else {}
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name or None


def _arrows(app):
    """Yield each import of one module by another, of all apps."""
    for importer, path in _names(app).items():
        for name in _imported(path):
            imported = _module(name)
            if imported and imported != importer:
                yield importer, imported


def _room(name):
    return name.split(".")[1] if "." in name else ""


def _file(name):
    return str(_names(name.split(".")[0])[name].relative_to(ROOT))


@pytest.mark.parametrize("app", MAY_IMPORT)
def test_app_imports_only_what_the_arrows_allow(app):
    others = MAY_IMPORT.keys() - {app} - MAY_IMPORT[app]

    assert [arrow for arrow in _arrows(app) if arrow[1].split(".")[0] in others] == []


@pytest.mark.parametrize("app", FLOORS)
def test_no_room_imports_from_a_higher_floor(app):
    floors = {room: floor for floor, rooms in enumerate(FLOORS[app]) for room in rooms.split()}

    upwards = [
        (importer, imported)
        for importer, imported in _arrows(app)
        if imported.split(".")[0] == app and _room(importer) and _room(imported)
        if floors[_room(importer)] < floors[_room(imported)]
    ]

    assert upwards == []


@pytest.mark.parametrize("app", FLOORS)
def test_every_room_has_its_floor_and_no_floor_an_absent_room(app):
    rooms = {_room(name) for name in _names(app)} - {""}

    assert {room for floor in FLOORS[app] for room in floor.split()} == rooms


def test_no_modules_import_each_other_in_a_circle():
    arrows = defaultdict(set)
    for app in MAY_IMPORT:
        for importer, imported in _arrows(app):
            arrows[importer].add(imported)
    imports = {name: names & arrows.keys() for name, names in arrows.items()}

    # What imports nothing that is left, or is imported by nothing, is in no circle.
    while True:
        targets = set().union(*imports.values())
        done = [name for name in imports if not imports[name] or name not in targets]
        if not done:
            break
        for name in done:
            del imports[name]
        imports = {name: names & imports.keys() for name, names in imports.items()}

    assert imports == {}


@pytest.mark.parametrize("app", FOLDERS)
def test_no_folder_has_more_modules_than_a_newcomer_reads(app):
    counts = Counter(
        str(path.parent.relative_to(ROOT)) for path in _modules(app) if path.name != "__init__.py"
    )

    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_folder_has_more_test_files_than_a_newcomer_reads():
    counts = Counter(
        str(path.parent.relative_to(ROOT))
        for path in _modules("tests")
        if path.name.startswith("test_")
    )

    assert {folder: count for folder, count in counts.items() if count > MOST_TESTS} == {}


def test_pages_are_imported_by_pages():
    strangers = {
        (importer, imported)
        for app in MAY_IMPORT
        for importer, imported in _arrows(app)
        if IS_PAGE.search(_file(imported)) and not SHOWS_PAGES.search(_file(importer))
    }

    assert strangers == set()


@pytest.mark.parametrize("app", ["queues", "orders", "emails", "notifier"])
def test_only_border_modules_know_botocore(app):
    knowing = {
        str(path.relative_to(ROOT))
        for path in _modules(app)
        if any(name.split(".")[0] in {"boto3", "botocore"} for name in _imported(path))
    }

    assert {file for file in knowing if not BORDERS.match(file)} == set()


@pytest.mark.parametrize("app", MAY_IMPORT)
def test_environment_is_read_in_settings_only(app):
    allowed = {
        "notifier/settings.py",
        "notifier/wsgi.py",
        # Names the settings, as wsgi.py does.
        "queues/aws_lambda.py",
        "sandbox/ready.py",
    }

    reading = {
        str(path.relative_to(ROOT))
        for path in _modules(app)
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }

    assert reading <= allowed
