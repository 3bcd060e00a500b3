"""What registers itself is found when Django starts, and a consumer loads no page for it."""

import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.lambda_package import WEB_ONLY
from queues import registry
from queues.registry import Hook

ROOT = Path(__file__).resolve().parent.parent
APPS = ("notifier", "orders", "queues", "emails")
HOOKS = "|".join(name for name, value in vars(registry).items() if isinstance(value, Hook))
# In any of its spellings: a decorator or a call, by its own name or by that of its module.
REGISTERS = re.compile(
    rf"^\s*@?(?:registry\.)?(?:{HOOKS}|handles|reads|sends)(?:\(|$)|^\s*@?(?:checks\.|email_status\.)?register(?:\(|$)",
    re.MULTILINE,
)
CHECKS = re.compile(r"^@doctor_check\(", re.MULTILINE)
PAGES = re.compile(r"unfold\.admin|\w+\.(?:admin|pages|pages\..+|.+_page)")
SETUP = "import django; django.setup()"
# Lambda has a zip without them. What a machine has, a consumer that loads it keeps in its memory.
WEB_MODULES = {
    module
    for module, packages in packages_distributions().items()
    if WEB_ONLY & {package.lower() for package in packages}
}
COMMANDS = ("consume_queue", "relay_outbox", "archive_events")


def _modules(pattern):
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if path != ROOT / "queues/registry.py" and pattern.search(path.read_text())
    }


@cache
def _loaded(code):
    """The modules of a fresh process that has run this."""
    tell = "print(*(name for name, module in sys.modules.items() if module))"
    told = subprocess.run(
        [sys.executable, "-c", f"import atexit, sys; atexit.register(lambda: {tell}); {code}"],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(told.stdout.splitlines()[-1].split())


def _loaded_by(command):
    return _loaded(
        f"import runpy; sys.argv = ['manage.py', '{command}', '--help']; "
        "runpy.run_path('manage.py', run_name='__main__')"
    )


def test_every_module_that_registers_something_is_loaded_at_start():
    in_pages = {name for name in _modules(REGISTERS) if ".pages." in name}
    forgotten = _modules(REGISTERS) - in_pages - _loaded(SETUP)

    assert forgotten == set()
    assert in_pages <= _loaded(f"{SETUP}; import notifier.urls")


def test_the_search_finds_what_registers():
    assert {"emails.handlers", "queues.checks", "notifier.journey.email_status"} <= _modules(
        REGISTERS
    )


def test_consumer_loads_neither_the_admin_nor_a_page_nor_the_doctors_checks():
    loaded = _loaded(f"{SETUP}; import queues.management.commands.consume_queue")

    assert {name for name in loaded if PAGES.fullmatch(name)} == set()
    assert _modules(CHECKS) & loaded == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_worker_loads_no_library_of_the_pages(command):
    assert {"unfold", "webauthn", "cryptography"} <= WEB_MODULES
    assert WEB_MODULES & _loaded_by(command) == set()
    assert WEB_MODULES & _loaded_by("migrate")


def test_lambda_loads_no_library_of_the_pages():
    without_openssl = "sys.modules['OpenSSL'] = None"

    assert WEB_MODULES & _loaded(f"{without_openssl}; import queues.aws_lambda") == set()


def test_every_module_of_doctor_checks_is_loaded_when_the_doctor_runs():
    run = f"{SETUP}; from queues.doctor import findings; findings.load()"

    assert _modules(CHECKS)
    assert _modules(CHECKS) <= _loaded(run)


def test_app_without_source_files_does_not_start(tmp_path, monkeypatch):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(RuntimeError, match="source files"):
        registry.load("hollow")
