"""The figures of the main path, measured on a fresh clone: ``make figures``.

- from ``make run`` in a fresh clone, with empty package caches, to the shop's page;
- from posting an order to SES having accepted its email, over 50 orders, the consumer idle before each;
- resident memory of web, consumer and local AWS after that.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ORDERS = 50
IDLE_SECONDS = 0.5
ADDRESS = {
    "customer_name": "Ada Lovelace",
    "customer_email": "ada@example.com",
    "shipping_street": "12 St James's Square",
    "shipping_postal_code": "SW1Y 4JH",
    "shipping_city": "London",
    "shipping_country": "United Kingdom",
}


def main() -> None:
    """Print the figures; the clone is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="notifier-figures-") as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
        web, aws = free_port(), free_port()
        began = time.monotonic()
        run = subprocess.Popen(
            ["make", "run", f"PORT={web}", f"AWS_PORT={aws}"],
            cwd=folder,
            env=os.environ | {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            shop, mailbox = f"http://127.0.0.1:{web}/", f"http://127.0.0.1:{aws}/_sandbox/mail"
            wait_for(shop, run)
            print(f"make run in a fresh clone to the first page: {time.monotonic() - began:.1f} s")
            print_latencies(shop, mailbox)
            print_memory(run.pid)
        finally:
            os.killpg(run.pid, signal.SIGINT)
            run.wait(30)


def print_latencies(shop: str, mailbox: str) -> None:
    """Post orders one by one; the time of acceptance is the local SES's own."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    posted: dict[str, float] = {}
    _, first = place_order(browser, shop)
    while first not in {order_of(mail) for mail in mails(mailbox)}:
        time.sleep(IDLE_SECONDS)
    for _ in range(ORDERS):
        time.sleep(IDLE_SECONDS)
        at, number = place_order(browser, shop)
        posted[number] = at
    time.sleep(3)
    seconds = sorted(
        accepted_at(mail) - posted[order_of(mail)]
        for mail in mails(mailbox)
        if order_of(mail) in posted
    )
    print(
        f"order posted to accepted by SES, {len(seconds)} of {ORDERS} orders: "
        f"p50 {statistics.median(seconds):.3f} s, p95 {seconds[int(len(seconds) * 0.95) - 1]:.3f} s, "
        f"worst {seconds[-1]:.3f} s"
    )


def place_order(browser: urllib.request.OpenerDirector, shop: str) -> tuple[float, str]:
    """The moment of the post (Unix time) and the number of the order."""
    page = browser.open(shop).read().decode()
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|idempotency_key)" value="([^"]+)"', page))
    products = re.findall(r'name="(quantity-\d+)"', page)[:2]
    body = urllib.parse.urlencode(ADDRESS | fields | dict.fromkeys(products, "1")).encode()
    at = time.time()
    return at, browser.open(shop, body).url.rstrip("/").rsplit("/", 1)[-1]


def print_memory(group: int) -> None:
    """Resident memory of the processes of ``make run``, by what they run."""
    names = {"runserver": "web", "consume_queue": "consumer", "local_aws": "local AWS"}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_text().split("\0")
            status = (folder / "status").read_text()
            belongs = descends(int(folder.name), group)
        except OSError:
            continue
        for word, name in names.items():
            if belongs and word in command and (found := re.search(r"VmRSS:\s+(\d+)", status)):
                print(f"resident memory of {name}: {int(found[1]) / 1024:.0f} MB")


def descends(pid: int, ancestor: int) -> bool:
    """Return True if a process was started below another."""
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return False


def mails(mailbox: str) -> list[dict[str, Any]]:
    """Return the mails that the local SES accepted, newest first; none before it answers."""
    try:
        with urllib.request.urlopen(mailbox) as answer:  # noqa: S310  # our own address
            found: list[dict[str, Any]] = json.load(answer)
    except urllib.error.URLError:
        return []
    return found


def order_of(mail: dict[str, Any]) -> str:
    """The order's number in the subject."""
    found = re.search(r"ORD-\d+", mail["subject"])
    return found[0] if found else ""


def accepted_at(mail: dict[str, Any]) -> float:
    """Unix time."""
    return datetime.fromisoformat(mail["time"]).timestamp()


def wait_for(url: str, run: subprocess.Popen[bytes]) -> None:
    """Wait until the page is served."""
    while run.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit("make run ended by itself")


def free_port() -> int:
    """One that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
