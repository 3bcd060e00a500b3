"""Say where everything is once it answers: the last line of ``make run``. No Django here: it starts at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request

WELCOME = """
  Notifier is running.

    Shop      {base}/
    Mailbox   {base}/sandbox/       every email that the local AWS took
    Admin     {base}/admin/         user admin, password admin

  Order as ada@example.com, whose address is verified, and look into the mailbox. Ctrl-C stops everything.
"""


def main() -> None:
    """Wait for the shop, then say where everything is; ``--check PORT…`` exits 1 with a hint if a port is taken."""
    if sys.argv[1:2] == ["--check"]:
        _check(sys.argv[2:])
        return
    base = f"http://127.0.0.1:{os.environ['WEB_PORT']}"
    for _ in range(600):
        if _answers(f"{base}/"):
            print(WELCOME.format(base=base), flush=True)
            break
        time.sleep(0.1)
    else:
        print("The shop does not answer after a minute; the lines above say why.", flush=True)
    signal.pause()


def _check(ports: list[str]) -> None:
    for name, port in zip(("PORT", "AWS_PORT"), ports, strict=True):
        with socket.socket() as probe:
            # As servers do, so that connections that linger from the last run do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(port)))
            except OSError:
                sys.exit(
                    f"Port {port} is in use. Stop what uses it, or: make run {name}={int(port) + 1}"
                )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
