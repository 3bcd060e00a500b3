"""Measure the cost of rendering: ``python -m benchmarks.profile.rendering [--rounds N]``.

Prints the CPU time of each file of each template, in microseconds for one email, and of the whole email: its three
files, its style sheet inlined. A text part without a file is made from the HTML. The data is the template's sample;
the order has four lines. The first email, which reads and compiles the template, is not counted. The least of several
rounds counts: what else the machine does can only make one slower.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping

import django
from django.conf import settings

ROUNDS = 20
EMAILS_IN_A_ROUND = 50
FILES = ("subject.hbs", "body.html.hbs", "body.txt.hbs")


def main() -> None:
    """Measure every template there is."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    django.setup()
    settings.DEBUG = False
    from emails.rendering import templates  # needs Django's settings

    print(f"{'µs of CPU':<22}{''.join(f'{name:>16}' for name in FILES)}{'whole email':>16}")
    for name, sample in templates.samples().items():
        print(_row(name, _with_four_lines(sample.data), rounds))


def _row(name: str, data: dict[str, object], rounds: int) -> str:
    from emails.rendering import templates

    engine = templates.engine()
    frame = templates.frame(templates.default_letterhead(templates.brand(name)))

    def filled(file: str) -> Callable[[], object] | None:
        if engine.find(file) is None:
            return None
        # The template is found at each email, as it is in one.
        return lambda: engine.get_template(file).render(data, data=frame)

    works = [*(filled(f"{name}/{file}") for file in FILES), lambda: templates.render(name, data)]
    cells = (f"{_microseconds(work, rounds):.0f}" if work else "–" for work in works)
    return f"{name:<22}{''.join(f'{cell:>16}' for cell in cells)}"


def _microseconds(work: Callable[[], object], rounds: int) -> float:
    work()
    return min(_round(work) for _ in range(rounds))


def _round(work: Callable[[], object]) -> float:
    began = time.thread_time_ns()
    for _ in range(EMAILS_IN_A_ROUND):
        work()
    return (time.thread_time_ns() - began) / EMAILS_IN_A_ROUND / 1000


def _with_four_lines(data: Mapping[str, object]) -> dict[str, object]:
    lines = data.get("lines")
    return {**data, "lines": (lines * 4)[:4]} if isinstance(lines, list) else {**data}


if __name__ == "__main__":
    main()
