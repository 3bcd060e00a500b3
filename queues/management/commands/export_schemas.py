"""``manage.py export_schemas``: write the contract of events to files, for people outside this code."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues.events import schemas


class Command(BaseCommand):
    """Write the files that differ; with ``--check`` write nothing, and fail if any file differs."""

    help = "Write the JSON Schemas of all events and their AsyncAPI document."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that ``--help`` lists."""
        folder = settings.BASE_DIR / "docs" / "events"
        parser.add_argument("--folder", type=Path, default=folder, help="docs/events by default")
        parser.add_argument("--check", action="store_true", help="fail if they are not up to date")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files and print a line for each, or check them."""
        folder: Path = options["folder"]
        documents = schemas.documents()
        stale = [
            name for name, text in documents.items() if _content(folder / name) != text.encode()
        ]
        gone = [path.name for path in folder.glob("*.json") if path.name not in documents]
        if options["check"]:
            if stale or gone:
                names = ", ".join(sorted(stale + gone))
                raise CommandError(f"Not up to date: {names}. Run: manage.py export_schemas")
            self.stdout.write("up to date")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (folder / name).write_text(documents[name])
            self.stdout.write(f"wrote {name}")
        for name in gone:
            (folder / name).unlink()
            self.stdout.write(f"deleted {name}")


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
