"""``make lambda``: the zip that AWS Lambda runs, with everything in it that a consumer imports and nothing else.

The SDK is in it, with the descriptions of the services that we call: Lambda's runtime brings one of its own, which
changes without notice, and our lean clients and the errors of SES depend on the version that was tested.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist" / "notifier-lambda.zip"
# What Lambda runs on: Amazon Linux 2023 is newer than this.
PLATFORM = "x86_64-manylinux2014"
PYTHON = "3.11"
# Lambda refuses more, unpacked.
MOST_MEGABYTES = 250

APPS = ("notifier", "orders", "queues", "emails", "templates")
SERVICES = {"ses", "sesv2", "sns", "sqs", "sso", "sso-oidc", "sts"}
# What only pages import: with SERVES_PAGES=off, no app in the settings needs them. Some have no wheel for PLATFORM.
WEB_ONLY = {
    *("cbor2", "cffi", "cryptography", "django-ninja", "django-otp-webauthn", "django-unfold"),
    *("gunicorn", "prometheus-client", "pyasn1", "pyasn1-modules", "pycparser", "pyjwt"),
    *("pyopenssl", "segno", "webauthn", "whitenoise"),
}
_REQUIREMENT = re.compile(r"^([\w.-]+)==.*\n(?: .*\n)*", re.MULTILINE)
_UNUSED = (
    "bin",
    "boto3/data",
    "boto3/examples",
    "django/contrib/gis",
    "django/contrib/*/locale",
    "**/static",
)
_ENGLISH = {"en", "__init__.py", "__pycache__"}


def build(output: Path = OUTPUT, *, platform: str = PLATFORM, python: str = PYTHON) -> Path:
    """Make the zip, in place of one that is there; the same sources give the same bytes."""
    with tempfile.TemporaryDirectory(prefix="notifier-lambda-") as folder:
        content = Path(folder)
        _install(content, platform=platform, python=python)
        _prune(content)
        _copy_apps(content)
        _compile(content, python=python)
        _check_size(content)
        output.parent.mkdir(parents=True, exist_ok=True)
        _zip(content, output)
    return output


def _install(content: Path, *, platform: str, python: str) -> None:
    command = [
        *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet"),
        *("--target", content, "--python-platform", platform, "--python-version", python),
        *("--only-binary", ":all:", "--no-deps", "--require-hashes"),
        *("--requirements", "-"),
    ]
    subprocess.run(  # noqa: S603  # words of our own
        [str(word) for word in command], input=_requirements(), text=True, check=True
    )


def _requirements() -> str:
    pinned = (ROOT / "requirements.txt").read_text()
    return "".join(found[0] for found in _REQUIREMENT.finditer(pinned) if found[1] not in WEB_ONLY)


def _prune(content: Path) -> None:
    for pattern in _UNUSED:
        _remove(content.glob(pattern))
    _remove(_others(content / "django" / "conf" / "locale", _ENGLISH))
    data = content / "botocore" / "data"
    _remove(path for path in _others(data, SERVICES) if path.is_dir())
    _remove(content.glob("**/tests"))


def _others(folder: Path, kept: set[str]) -> list[Path]:
    return [path for path in folder.iterdir() if path.name not in kept]


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _copy_apps(content: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "static", "demo")
    for app in APPS:
        shutil.copytree(ROOT / app, content / app, ignore=skipped)


def _compile(content: Path, *, python: str) -> None:
    """Lambda cannot keep what it compiles: without this each cold start would compile everything anew."""
    if sys.version_info[:2] != tuple(map(int, python.split("."))):
        print(f"not compiled: that takes Python {python}, cold starts will be slower")
        return
    compileall.compile_dir(
        content,
        quiet=2,
        stripdir=str(content),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _check_size(content: Path) -> None:
    megabytes = _bytes(content) / 1e6
    if megabytes > MOST_MEGABYTES:
        raise SystemExit(f"{megabytes:.0f} MB unpacked; Lambda takes {MOST_MEGABYTES} MB")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _zip(content: Path, output: Path) -> None:
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in content.rglob("*") if path.is_file()):
            # Without the times of files, and readable for whoever runs it.
            entry = zipfile.ZipInfo(str(path.relative_to(content)))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def main() -> None:
    """Build it and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m infra.lambda_package", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--platform", default=PLATFORM, help=f"as uv names it ({PLATFORM})")
    parser.add_argument("--python", default=PYTHON, help=f"of the runtime ({PYTHON})")
    options = parser.parse_args()
    output = build(options.output, platform=options.platform, python=options.python)
    with zipfile.ZipFile(output) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


if __name__ == "__main__":
    main()
