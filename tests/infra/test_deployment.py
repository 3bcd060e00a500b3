"""The files of a deployment work, as far as that can be tried without containers and systemd."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from emails.reputation.imports import MAX_BYTES
from tests.support.aws.local_aws import ROOT

DEPLOY = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UNITS = sorted((ROOT / "infra" / "systemd").glob("*.service"))
SETTINGS = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
OURS = {name: it for name, it in COMPOSE["services"].items() if it["image"] == "notifier"}
GUNICORN = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
# What a consumer takes to end: docs/reference/processes.md.
CONSUMER_SECONDS = 25


def run(*command, **environment):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command, env=kept | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def written_settings():
    """The settings that docs/how-to/deploy.md has its reader write, filled in."""
    [block] = re.findall(r"cat >> .*<<'END'\n(.*?)\nEND\n", DEPLOY, re.S)
    return block.replace("<50 random characters>", "kX9+2mQv7Lr4/Tz8Wc1Yb6" * 3)


def test_production_settings_of_the_docs_pass_every_check_of_a_deployment(tmp_path):
    (tmp_path / "env").write_text(written_settings())

    checked = run(
        *(sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        ENV_FILE=str(tmp_path / "env"),
    )

    assert checked.returncode == 0, checked.stderr
    # The one that is silenced wants a list of origins for passkeys; ours compares with ALLOWED_HOSTS.
    assert "no issues (1 silenced)" in checked.stdout + checked.stderr


def test_docs_say_which_process_takes_each_policy():
    template = (ROOT / "infra" / "template.yaml").read_text()
    policies = re.findall(r'ManagedPolicyName: !Sub "\$\{Prefix\}-(\w+)"', template)

    assert policies
    assert [policy for policy in policies if f"`notifier-{policy}`" not in DEPLOY] == []


def test_settings_of_the_docs_and_of_compose_exist():
    named = set(re.findall(r"^([A-Z_]+)=", written_settings(), re.M))
    for service in OURS.values():
        named |= service["environment"].keys()

    assert named <= SETTINGS


def test_gunicorn_takes_its_configuration_and_finds_the_application(tmp_path):
    (tmp_path / "env").write_text(written_settings())

    checked = run(
        *(sys.executable, "-m", "gunicorn", "--check-config", "notifier.wsgi"),
        ENV_FILE=str(tmp_path / "env"),
    )

    assert checked.returncode == 0, checked.stderr


def test_compose_waits_for_services_that_it_has_and_names_volumes_that_it_has():
    for name, service in COMPOSE["services"].items():
        assert service.get("depends_on", {}).keys() <= COMPOSE["services"].keys(), name
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"], name


@pytest.mark.parametrize("name", OURS)
def test_service_of_compose_runs_what_there_is_with_no_more_rights_than_it_needs(name):
    service = OURS[name]
    command = shlex.split(service.get("command", "gunicorn notifier.wsgi"))

    assert command[0] == "gunicorn" or (
        command[:2] == ["python", "manage.py"] and command[2] in get_commands()
    )
    assert int(service["stop_grace_period"].removesuffix("s")) > GUNICORN["graceful_timeout"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]


def test_only_what_answers_requests_is_asked_whether_it_is_healthy():
    asked = {name for name, it in OURS.items() if not it.get("healthcheck", {}).get("disable")}

    assert asked == {"web"}
    assert "/healthz" in DOCKERFILE


def test_image_is_made_of_what_there_is_and_has_every_app():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    sources = {source.rstrip("/") for line in copied for source in line.split()}

    assert all((ROOT / source).exists() for source in sources)
    ours = {app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()} - {"sandbox"}
    assert ours | {"templates", "requirements.txt", "manage.py", "gunicorn.conf.py"} == sources
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in sources} <= {line.rstrip("/") for line in sent}


def test_image_runs_as_nobody_in_particular_and_takes_signals_itself():
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER notifier$", final, re.M)
    assert re.search(r'^CMD \["gunicorn", "notifier.wsgi"', final, re.M)
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_waits_longer_than_its_process_takes_to_end(unit):
    service = section(unit, "Service")

    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "always"
    longest = max(CONSUMER_SECONDS, GUNICORN["graceful_timeout"])
    assert int(service["TimeoutStopSec"]) > longest


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_starts_what_there_is_as_no_root_and_writes_in_its_own_folder(unit):
    service = section(unit, "Service")
    program, *arguments = service["ExecStart"].split()

    assert program.startswith("/srv/notifier/.venv/bin/")
    assert arguments == ["notifier.wsgi"] or arguments[1] in get_commands()
    assert service["User"] == "notifier"
    assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")
    assert "notifier/journal" in service["StateDirectory"]
    assert "JOURNAL_DIR=/var/lib/notifier/journal" in unit.read_text()
    assert "MALLOC_ARENA_MAX=2" in unit.read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_every_line_of_the_units(tmp_path):
    there = tmp_path / "srv"
    (there / ".venv" / "bin").mkdir(parents=True)
    for program in ("python", "gunicorn"):
        (there / ".venv" / "bin" / program).symlink_to(sys.executable)
    for unit in (ROOT / "infra" / "systemd").iterdir():
        (tmp_path / unit.name).write_text(unit.read_text().replace("/srv/notifier", str(there)))

    verified = run("systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("notifier*")))

    assert (verified.returncode, verified.stderr) == (0, "")


def test_nginx_lets_through_what_the_largest_form_takes():
    [limit] = re.findall(
        r"location = /admin/emails/suppression/import/ {\s+client_max_body_size (\d+)m;",
        (ROOT / "infra" / "nginx.conf").read_text(),
    )

    assert int(limit) << 20 > MAX_BYTES


def section(unit, name):
    parser = RawConfigParser(strict=False, delimiters="=")
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # keeps capitals; as its documentation says
    parser.read(unit)
    return parser[name]
