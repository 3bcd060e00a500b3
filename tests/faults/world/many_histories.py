"""``python -m tests.faults.world.many_histories 10000``.

Run so many seeds, and print each that fails with its last acts.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module

import django
from django.test.runner import DiscoverRunner


def main(count: int) -> int:
    """Returns the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    runner = DiscoverRunner(verbosity=0)
    databases = runner.setup_databases()
    began, failures = time.monotonic(), 0
    # Its models need the set-up.
    for failure in import_module("tests.faults.test_histories").run(range(count)):
        failures += 1
        print(failure, flush=True)
    print(f"{count} seeds, {failures} failed, {time.monotonic() - began:.0f} s")
    runner.teardown_databases(databases)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
