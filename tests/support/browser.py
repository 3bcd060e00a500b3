"""The running product in Chromium, as its users see it: desktop and phone, light and dark."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support.aws.local_aws import ROOT
from tests.support.processes import Platform

PICTURES = ROOT / "test-artifacts"
DESKTOP = (1280, 900)
PHONE = (390, 844)
# Long enough for the three receives of a message that fails.
PATIENCE_MILLISECONDS = 20_000

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Whatever a page asks for elsewhere fails, and its test with it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_RULES = {
    "runOnly": [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ],
    "resultTypes": ["violations"],
}
# What assistive technology would announce by its role alone.
_CONTROLS = {
    "button",
    "checkbox",
    "combobox",
    "Iframe",
    "link",
    "listbox",
    "radio",
    "searchbox",
    "spinbutton",
    "switch",
    "textbox",
}


class Site:
    """The product with its demo data, and the pages that are open on it."""

    def __init__(self, chromium: Browser, platform: Platform, *, api_key: Path) -> None:
        self.aws: Any = platform.aws
        self.problems: list[str] = []
        self._chromium = chromium
        # Each takes over a second to start: let them do so together.
        demo = platform.manage("load_demo")
        consumer = platform.manage("consume_queue")
        self.base = platform.web(API_LOCAL_KEY=str(api_key))
        consumer.wait_for("consuming")
        assert demo.wait() == 0, demo.output

    def open(
        self,
        path: str = "/",
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        locale: str = "en-GB",
    ) -> Page:
        """A page of somebody new, who has no cookies yet."""
        width, height = size
        context = self._chromium.new_context(
            base_url=self.base,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale=locale,
            timezone_id="Europe/London",
        )
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        context.on("console", self._heed_console)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("request", self._heed_request)
        page = context.new_page()
        page.goto(path)
        return page

    def open_admin(self, path: str = "/admin/", *, name: str = "admin", **look: Any) -> Page:
        """A page of a staff member of the demo."""
        page = self.open(f"/admin/login/?next={path}", **look)
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill("admin")
        page.get_by_role("button", name="Log in", exact=True).click()
        page.wait_for_url(f"**{path}")
        return page

    def mails(self, to: str) -> list[dict[str, Any]]:
        """Return the mails that SES took for this recipient, newest first."""
        mails: list[dict[str, Any]] = self.aws.mail()
        return [mail for mail in mails if to in mail["to"]]

    def close(self) -> None:
        """Close all pages; an error in the console of any, such as a refusal by the content policy, fails the test."""
        for context in self._chromium.contexts:
            context.close()
        assert not self.problems, "\n".join(self.problems)

    def _heed_console(self, message: ConsoleMessage) -> None:
        # A link that was used answers 410 Gone, with a page that says so.
        if message.type == "error" and "410 (Gone)" not in message.text:
            self.problems.append(f"{message.location.get('url')}: {message.text}")

    def _heed_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https") and address.hostname != "127.0.0.1":
            self.problems.append(f"a request to {request.url}")


class Clicks:
    """Counts what a person would click."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def link(self, name: str) -> None:
        """The first of this name."""
        self.count += 1
        self.page.get_by_role("link", name=name).first.click()

    def button(self, name: str) -> None:
        """The only one of this name."""
        self.count += 1
        self.page.get_by_role("button", name=name).click()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or any that is installed; without one the tests are skipped."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium found: install the package chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's event loop, which lives in this thread, looks to Django like asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()
        connections.close_all()


@pytest.fixture
def site(chromium: Browser, platform: Platform, tmp_path: Path) -> Iterator[Site]:
    """The product, running on the local AWS."""
    site = Site(chromium, platform, api_key=tmp_path / "api-key.pem")
    yield site
    site.close()


def choose(page: Page, *names: str) -> None:
    """Put one of each of these products into the basket."""
    for name in names:
        page.get_by_role("button", name=f"One {name} more").click()


def fill_in(page: Page, *, email: str) -> None:
    """Say who orders, and where it goes."""
    for label, text in {
        "Your name": "Ada Lovelace",
        "Email": email,
        "Street and number": "12 St James's Square",
        "Postal code": "SW1Y 4JH",
        "City": "London",
        "Country": "United Kingdom",
    }.items():
        page.get_by_label(label, exact=True).fill(text)


def wait_for_delivery(page: Page) -> None:
    """Watch an order's page, which nobody reloads, until the last step is done."""
    expect(page.locator(".verdict")).to_have_text(re.compile("^Delivered."))
    expect(page.locator(".step.done")).to_have_count(4)


def take_picture(page: Page, name: str, *, height: int | None = None) -> None:
    """Keep the page as PNG, all of it or so much from its top, as a window so high would show it.

    Only where pictures are asked for, as by ``make pictures``: no test judges them, and each takes a while.
    """
    if "PICTURES" not in os.environ:
        return
    size = page.viewport_size
    assert size is not None
    page.evaluate("scrollTo(0, 0)")
    height = height or page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": height})
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled", caret="hide")
    page.set_viewport_size(size)


def overflows(page: Page) -> bool:
    """True if the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def barriers(page: Page) -> list[str]:
    """Return what WCAG 2.2 AA and axe's best practices find wrong with the page as it looks now."""
    found = Axe().run(page, options=_RULES).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in found
        for node in rule["nodes"]
    ]


def nameless_controls(page: Page) -> list[str]:
    """Return the controls that a screen reader could announce by their role alone, as Chromium reckons."""
    session = page.context.new_cdp_session(page)
    found = [
        session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
        for node in session.send("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
        and node["role"]["value"] in _CONTROLS
        and not node["name"]["value"].strip()
    ]
    session.detach()
    return [f"{node['nodeName']} {node['attributes']}" for node in found]
