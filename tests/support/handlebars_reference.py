"""handlebars.js itself, as the measure of our templates; needs Node and ``npm install`` in ``handlebars_js/``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("handlebars_js")
IS_THERE = shutil.which("node") is not None and (FOLDER / "node_modules" / "handlebars").is_dir()


def answers(cases: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Return what handlebars.js prints for each template with its data and partials; None for an error."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        ["node", "judge.cjs"],
        cwd=FOLDER,
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
