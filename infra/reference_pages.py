"""Write ``docs/reference/commands.md`` and ``settings.md`` from the code; run by ``make docs-reference``.

The commands come from their own parsers and from the Makefile, the settings from ``.env.example``, the defaults from
``notifier/settings.py``.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
APPS = ("queues", "emails", "notifier", "orders", "sandbox")
_SETTING = re.compile(r"^(# )?([A-Z][A-Z0-9_]+)=(.*)$")
# Settings that are read by another file than notifier/settings.py, with their default there.
OUTSIDE = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
_ELSEWHERE = """\
## Read elsewhere

| Setting | Default | What it does |
|---|---|---|
| `ENV_FILE` | `.env` | The file that settings are read from; the environment wins over it |
| `WEB_CONCURRENCY` | cores + 1 | How many workers gunicorn starts (`gunicorn.conf.py`) |
| `AWS_PROFILE`, `AWS_CA_BUNDLE`, `HTTPS_PROXY` … | | Read by the AWS SDK, as its documentation says |
| `SSL_CERT_FILE` | | The certificates that OpenSSL trusts, for SMTP say |
| `OTEL_…` | | Read by OpenTelemetry, where `TRACES_EXPORTER` is set |
"""


@dataclass(frozen=True)
class Setting:
    """One line of ``.env.example`` with the comment above it."""

    section: str
    name: str
    text: str
    example: str
    is_set: bool


def settings_of(text: str) -> Iterator[Setting]:
    """Read ``.env.example``: a comment belongs to the setting below it."""
    section, comment = "", list[str]()
    for line in text.splitlines():
        found = _SETTING.match(line)
        if line.startswith("# --- "):
            section, comment = line.removeprefix("# --- "), []
        elif found:
            yield Setting(section, found[2], " ".join(comment), found[3], not found[1])
            comment = []
        elif line.startswith("# ") and section and not comment and _goes_on(section):
            section += " " + line.removeprefix("# ")
        elif line.startswith("# "):
            comment.append(line.removeprefix("# "))


def _goes_on(section: str) -> bool:
    """Return True if the next comment line still belongs to the heading: a sentence is open."""
    return ". " in section and not section.endswith(".")


def defaults() -> dict[str, str]:
    """The settings that ``notifier/settings.py`` reads, with their defaults as an ``.env`` file would say them."""
    found = {"TOPIC_ORDERS": "", "TOPIC_TRANSACTIONS": ""}
    for node in ast.walk(ast.parse((ROOT / "notifier" / "settings.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[0] == "env"
            and node.args
        ):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                given = {word.arg: word.value for word in node.keywords}
                found[str(name.value)] = _shown(given.get("default"))
    return found


def _shown(node: ast.expr | None) -> str:
    if node is None:
        return "none: it must be set"
    text = ast.unparse(node)
    if isinstance(node, ast.List):
        return ",".join(str(item.value) for item in node.elts if isinstance(item, ast.Constant))
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if "BASE_DIR" in text:
        return ("sqlite:///" if "sqlite" in text else "") + "/".join(
            re.findall(r"'([\w.]+)'", text)
        )
    return text.strip("f'").replace("{AWS_REGION}", "<AWS_REGION>")


def _constant(value: object) -> str:
    """A default as an ``.env`` file says it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def settings_page() -> str:
    """The whole page, as Markdown."""
    known, section = defaults(), ""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line in `.env` (or in the file that `ENV_FILE` names).",
        "`notifier/settings.py` reads them. `make run` takes the values of `.env.example`, which are for development:",
        "start an installation from an empty file. `manage.py check` and `manage.py doctor` say which settings",
        "contradict each other.",
        "",
        "`make docs-reference` writes this page. Change `.env.example`, not the page.",
    ]
    for setting in settings_of((ROOT / ".env.example").read_text()):
        if setting.section != section:
            section = setting.section
            title, _, more = section.partition(". ")
            lines += ["", f"## {title.rstrip('.')}", ""] + ([_linked(more), ""] if more else [])
            lines += ["| Setting | Default | `make run` | What it does |", "|---|---|---|---|"]
        default = known.get(setting.name, OUTSIDE.get(setting.name, ""))
        values = [_code(default), _code(setting.example) if setting.is_set else ""]
        lines.append(
            f"| `{setting.name}` | " + " | ".join(values) + f" | {_linked(setting.text)} |"
        )
        if not setting.is_set and not default and setting.example:
            lines[-1] = lines[-1].removesuffix(" |") + f". Example: `{setting.example}` |"
    return "\n".join(lines) + "\n\n" + _ELSEWHERE


def _code(value: str) -> str:
    return f"`{value}`" if value and not value.startswith("none:") else value


def _linked(text: str) -> str:
    """A page that a comment names becomes a link from this folder, with the page's title."""

    def link(found: re.Match[str]) -> str:
        page = ROOT / found[0]
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        return f"[{title}]({os.path.relpath(page, FOLDER)})"

    return re.sub(r"docs/(?:how-to|reference|explanation)/[\w-]+\.md", link, text)


def commands_page() -> str:
    """The whole page, as Markdown."""
    from django.core.management import load_command_class
    from django.core.management.base import BaseCommand

    usual = {action.dest for action in BaseCommand().create_parser("manage.py", "x")._actions}
    lines = [
        "# Commands",
        "",
        "`make docs-reference` writes this page from the commands' own `--help` and from the Makefile.",
        "",
        "## make",
        "",
        "A word in capitals is given as `make run PORT=8001`.",
        "",
        "| Target | Does |",
        "|---|---|",
    ]
    lines += [f"| `make {name}` | {_cell(_linked(text))} |" for name, text in make_targets()]
    lines += [
        "",
        "## manage.py",
        "",
        "`.venv/bin/python manage.py <command>`. Each ends with 0 when it did its work; [other exit",
        "codes](processes.md#signals-and-exit-codes) say why not. The options of every Django command (`--verbosity`,",
        "`--settings` …) are left out here.",
    ]
    for name, app in sorted(manage_commands().items()):
        parser = load_command_class(app, name).create_parser("manage.py", name)
        actions = [action for action in parser._actions if action.dest not in usual]
        usage = " ".join(["manage.py", name, *map(_usage, actions)])
        lines += [
            "",
            f"### {name}",
            "",
            _sentence(parser.description or ""),
            "",
            "```",
            usage,
            "```",
        ]
        if actions:
            lines += ["", "| Option | What it does |", "|---|---|"]
            lines += [
                f"| `{_cell(_name(action))}` | {_cell(_linked(_help(action)))} |"
                for action in actions
            ]
    return "\n".join(lines) + "\n"


def manage_commands() -> dict[str, str]:
    """Our commands, each with its app."""
    files = [
        file for app in APPS for file in (ROOT / app / "management" / "commands").glob("[a-z]*.py")
    ]
    return {file.stem: file.relative_to(ROOT).parts[0] for file in files}


def make_targets() -> list[tuple[str, str]]:
    """The targets that ``make`` prints, each with its text."""
    makefile = (ROOT / "Makefile").read_text()
    return re.findall(r"^([a-z-]+):.*?## (.*)$", makefile, flags=re.MULTILINE)


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return action.dest
    return " ".join([action.option_strings[-1], _value(action)]).strip()


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    choices = "|".join(map(str, action.choices or []))
    return choices or str(action.metavar or action.dest.upper())


def _usage(action: argparse.Action) -> str:
    if action.option_strings:
        return f"[{_name(action)}]"
    shown = _value(action) if action.choices else str(action.metavar or action.dest)
    return {"*": f"[{shown} ...]", "?": f"[{shown}]"}.get(str(action.nargs), shown)


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return text.replace(f"{ROOT}/", "")


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _sentence(text).replace("|", "\\|")


def main() -> None:
    """Write both pages; with ``--check`` only say which are out of date, and end with 1."""
    import django

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a page is out of date")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    django.setup()
    pages = {FOLDER / "commands.md": commands_page(), FOLDER / "settings.md": settings_page()}
    stale = [file for file, text in pages.items() if not file.exists() or file.read_text() != text]
    if options.check:
        sys.exit("".join(f"{file} is out of date: make docs-reference\n" for file in stale) or 0)
    for file in stale:
        file.write_text(pages[file])
        sys.stdout.write(f"wrote {file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
