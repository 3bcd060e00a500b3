"""Look the pinned packages up in the list of known vulnerabilities: ``python -m infra.audit [options of pip-audit]``.

pip-audit ends well also when nobody told it anything. Here 1 means a known vulnerability, and what could not be looked
up is said, at the end, where it is read; without the network that is everything, and no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

REQUIREMENTS = "requirements.txt"


def main(options: Sequence[str] = ()) -> int:
    """Ask, print what came of it, and return the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner=off", "--disable-pip"]
    command += ["--require-hashes", "--format=json", f"--requirement={REQUIREMENTS}", *options]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    code, text = verdict(asked.stdout, asked.stderr)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


def verdict(report: str, trouble: str) -> tuple[int, str]:
    """The exit code and its reason, by what pip-audit printed: its JSON, or why there is none."""
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        reason = (trouble.strip().splitlines() or ["no reason given"])[-1]
        return 0, f"audit: nobody could be asked about vulnerabilities ({reason})"
    known = [
        f"audit: {_named(package)}: {_described(vulnerability)}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    lines = known + _said_of(unknown, len(packages))
    return int(bool(known)), "\n".join(lines)


def _named(package: dict[str, Any]) -> str:
    return f"{package['name']} {package['version']}"


def _described(vulnerability: dict[str, Any]) -> str:
    names = ", ".join([vulnerability["id"], *vulnerability.get("aliases", ())])
    fixed = ", ".join(vulnerability.get("fix_versions", ())) or "no version yet"
    return f"{names}; fixed in {fixed}"


def _said_of(unknown: list[str], count: int) -> list[str]:
    if len(unknown) == count:
        return [f"audit: nothing was found out: none of {count} packages could be looked up"]
    looked_up = f"audit: {count - len(unknown)} of {count} packages looked up"
    return [looked_up + (f"; not found: {', '.join(unknown)}" if unknown else "")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
