"""A staged incident is found, understood and drained in the console; with PICTURES the browser records how."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from playwright.sync_api import Locator, Page, expect

from notifier import incident
from queues.models import DeadLetter, Redrive
from tests.browser.recording import Recording
from tests.support.browser import Site
from tests.support.processes import Platform, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

COUNT = 40
CAUSES = "/admin/queues/deadletter/groups/"
WINDOW = (1280, 800)
MOST_BYTES = 3_000_000
CODES = {"MessageRejected": 24, "UnknownType": 8, "BadData": 4, "BadEnvelope": 4}


def waiting() -> Counter[str]:
    return Counter(DeadLetter.objects.waiting().values_list("code", flat=True))


def card(page: Page, title: str) -> Locator:
    return page.locator(".letter-group").filter(
        has=page.get_by_role("heading", name=re.compile(title, re.IGNORECASE))
    )


def stage(platform: Platform, site: Site) -> str:
    staged = platform.manage(
        "stage_incident", f"--count={COUNT}", "--traffic=0", BASE_URL=site.base
    )
    assert staged.wait(seconds=200) == 0, staged.output
    return staged.output


def verify(site: Site, page: Page, domain: str) -> None:
    """Verify a domain as staff do; its owner publishes the records."""
    page.goto(f"/admin/emails/identity/add/?name={domain}&next={CAUSES}")
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.get_by_text(f"Publish these DNS records for {domain}.")).to_be_visible()
    site.aws.verify(domain)
    # Nobody reloads the page.
    expect(page.get_by_text("every address of this domain").first).to_be_visible()
    expect(page.get_by_text("missing", exact=True)).to_have_count(0)


def redrive(page: Page, film: Recording, title: str, *, caption: str) -> None:
    """Redrive all dead letters of a cause, those that would fail too, and wait for the end."""
    page.goto(CAUSES)
    film.click(card(page, title).get_by_role("link", name=re.compile(r"Redrive (?!\d)")), caption)
    expect(page.get_by_role("button", name="Start the redrive")).to_be_visible()
    for box in page.get_by_role("checkbox", name="recipient not verified").all():
        box.check()
    film.click(
        page.get_by_role("button", name="Start the redrive"),
        "The page forecasts each outcome. A canary goes first.",
    )
    page.wait_for_url("**/redrive/*/change/")
    latest = Redrive.objects.latest("created_at")
    wait_until(lambda: Redrive.objects.get(pk=latest.pk).ended_at, what="the redrive's end")


def close(page: Page, film: Recording, title: str, act: str, caption: str, *, note: str) -> None:
    """Discard or park all dead letters of a cause."""
    page.goto(CAUSES)
    film.click(card(page, title).get_by_role("button", name=act), caption)
    page.get_by_label(re.compile("Reason|Note")).first.fill(note)
    film.click(
        page.get_by_role("button", name=act, exact=True), f"{act}, with a note for the others."
    )


def correct(page: Page, film: Recording) -> None:
    """Correct the data of one dead letter whose address has no @, and send it."""
    letter = DeadLetter.objects.waiting().filter(code="BadData").latest("collected_at")
    page.goto(f"/admin/queues/deadletter/{letter.pk}/edit/")
    data = page.get_by_label("Data")
    data.fill(re.sub(r'"email": "[^"]+"', '"email": "ada@example.com"', data.input_value()))
    film.click(
        page.get_by_role("button", name="Check and preview"), "One has a wrong address: correct it."
    )
    expect(page.locator("iframe").first).to_be_visible()
    page.locator("iframe").first.scroll_into_view_if_needed()
    film.show(page, "The preview shows the email before it goes.", seconds=2)
    page.get_by_role("button", name="Save and redrive").click()
    wait_until(lambda: waiting()["BadData"] == CODES["BadData"] - 1, what="the corrected email")


def test_a_staged_incident_is_drained_through_the_console(site: Site, platform: Platform) -> None:
    told = stage(platform, site)
    assert "What to try" in told
    assert site.base + CAUSES in told
    assert waiting() == CODES
    film = Recording("incident")

    page = site.open_admin(size=WINDOW)
    film.show(page, "It is 3 a.m. The Overview says what needs a person.", seconds=2.5)
    page.goto(CAUSES)
    film.show(page, "Dead letters by cause: how many, whose, what it costs.", seconds=2.5)
    redrive(page, film, "not verified", caption="What happens if nothing is fixed?")
    page.reload()
    film.show(page, "The canary stopped it: one email failed, the others were spared.", seconds=2.5)
    assert waiting()["MessageRejected"] >= CODES["MessageRejected"] - 1

    for domain in incident.DOMAINS:
        verify(site, page, domain)
        film.show(page, f"{domain} is verified.", seconds=0.8)
    wait_until(lambda: waiting()["MessageRejected"] == CODES["MessageRejected"], what="the canary")
    redrive(page, film, "not verified", caption="Now the cause is fixed.")
    page.reload()
    film.show(page, "Every outcome is known: 24 of 24 accepted.", seconds=2.5)
    close(
        page, film, "order.shipped.v1", "Park", "Nobody handles it yet.", note="until the release"
    )
    correct(page, film)
    close(
        page,
        film,
        "does not fit",
        "Discard",
        "The others nobody needs.",
        note="the warehouse's tests",
    )
    close(page, film, "not an event", "Discard", "Heartbeats are no events.", note="heartbeats")
    page.goto(CAUSES)
    film.show(page, "Drained.", seconds=2.5)

    assert not waiting()
    sent = Counter(mail["to"][0] for mail in site.aws.mail() if "confirmed" in mail["subject"])
    customers = {to: count for to, count in sent.items() if to.endswith(".example")}
    assert len(customers) == CODES["MessageRejected"]
    assert set(customers.values()) == {1}
    assert film.save() < MOST_BYTES
