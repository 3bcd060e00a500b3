"""``manage.py export_schemas``: the contract of events, as files for those who do not read this code."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from queues.events import schemas


class Command(BaseCommand):
    """Write what differs; with ``--check`` write nothing and fail if anything does."""

    help = "Write the JSON Schemas of all events and their AsyncAPI document."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and whether to look only."""
        folder = settings.BASE_DIR / "docs" / "events"
        parser.add_argument("--folder", type=Path, default=folder, help="docs/events by default")
        parser.add_argument("--check", action="store_true", help="fail if they are not up to date")

    def handle(self, *args: Any, **options: Any) -> None:
        """A line for each file."""
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
