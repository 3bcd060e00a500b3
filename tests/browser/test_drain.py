"""Five hundred dead letters of four causes among 100,000 emails: found, fixed and drained in a browser."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from benchmarks.compare.order_events import envelope, event_id, order_number
from benchmarks.grow import table_rows
from emails.rendering import templates
from emails.versions import publishing
from notifier.alerts import concerns
from queues.dead_letters import collecting
from queues.events.envelope import stake
from queues.models import DeadLetter, Redrive, RedriveItem
from tests.support import dead_letters
from tests.support.browser import PHONE, Clicks, Site, barriers, overflows, take_picture
from tests.support.processes import wait_until
from tests.support.rows import forget_statistics

pytestmark = [pytest.mark.browser, pytest.mark.processes]

SENT = 100_000
CAUSES = {
    "MessageRejected": (
        380,
        "Email address is not verified. The following identities failed the check in region EU-WEST-1: zoe@example.com",
    ),
    "EndpointConnectionError": (80, "Could not connect to the endpoint URL of SES"),
    "RenderError": (39, "order_confirmation: the template needs lines.gift, which the data lacks"),
    "BadData": (1, "customer.email: value is not a valid email address"),
}
REFUSED = CAUSES["MessageRejected"][0]
NOT_VERIFIED = "SES sandbox: the recipient is not verified"


@pytest.fixture
def site(chromium, fast_platform, tmp_path):
    """The product on a stub of AWS that is fast enough for hundreds of emails."""
    site = Site(chromium, fast_platform, api_key=tmp_path / "api-key.pem")
    yield site
    site.close()


@pytest.fixture
def full_tables(site):
    """Fill the tables; afterwards no statistics are left, which would mislead tests of the plans of empty tables."""
    table_rows.fill(kind="sent", first=1, count=SENT)
    yield
    forget_statistics()


def bury(causes):
    """Dead letters as they are collected, each of an order of its own; returns their numbers by cause."""
    number = SENT
    letters, numbers = [], {}
    for code, (count, reason) in causes.items():
        numbers[code] = range(number + 1, number + 1 + count)
        letters += [letter_of(number, code, reason) for number in numbers[code]]
        number += count
    DeadLetter.objects.bulk_create(letters, batch_size=500)
    return numbers


def letter_of(number, code, reason):
    body = envelope(number)
    if code == "BadData":
        body = body.replace(f"zoe{number}@example.com", f"zoe{number} at example.com")
    return DeadLetter(
        queue="orders",
        sqs_message_id=f"dead-{number}",
        event_id=event_id(number),
        type="order.placed.v1",
        subject=order_number(number),
        body=body,
        receive_count=5,
        code=code,
        reason=reason,
        fingerprint=collecting.fingerprint(code, reason),
        sent_at=timezone.now(),
        **collecting.stake_fields(stake(body)),
    )


def page_of(code):
    """Return the page that the alert of this cause leads to."""
    [letters] = [concern for concern in concerns.current() if concern.key == "letters"]
    [cause] = [cause for cause in letters.causes if cause.text.startswith(code)]
    return letters.address_of(cause)


def take_pictures(looks, name, address=None):
    for page, look in zip(looks, ("dark", "phone-dark"), strict=True):
        if address:
            page.goto(address)
        take_picture(page, f"{name}-{look}", height=page.viewport_size["height"])


def wait_for_end(redrive):
    wait_until(
        lambda: Redrive.objects.get(pk=redrive.pk).ended_at, what=f"the end of redrive {redrive}"
    )


def sent_by_number(site):
    return Counter(acceptance.number for acceptance in site.aws.accepted())


def test_500_letters_of_four_causes_among_100000_emails_are_drained(site, full_tables):
    numbers = bury(CAUSES)
    alert = page_of("MessageRejected")
    looks = [
        site.open_admin(dark=True),
        site.open_admin(dark=True, size=PHONE),
    ]
    take_pictures(looks, "overview")
    take_pictures(looks, "causes", "/admin/queues/deadletter/groups/")

    # Nothing is fixed yet, and somebody tries all the same: the canary costs one letter.
    site.aws.set_faults(ses_sandbox=1)
    staff = site.open_admin(alert)
    clicks = Clicks(staff)
    clicks.link("Redrive SES sandbox")
    clicks.button("Start the redrive")
    expect(
        staff.locator("#content-main p:not([role])", has_text="It stopped by itself, because")
    ).to_be_visible()
    assert RedriveItem.objects.exclude(released_at=None).count() == 1
    poisoned = Redrive.objects.get()

    # It is fixed, and the browser is closed as soon as letters go.
    site.aws.set_faults(ses_sandbox=0)
    wait_for_end(poisoned)
    staff.goto(alert)
    clicks = Clicks(staff)
    clicks.link("Redrive SES sandbox")
    clicks.button("Start the redrive")
    expect(staff.get_by_role("button", name="Stop")).to_be_visible()
    address = staff.url
    assert clicks.count == 2
    take_pictures(looks, "redrive-runs", address)
    staff.context.close()
    wait_for_end(Redrive.objects.exclude(pk=poisoned.pk).get())
    record = site.open_admin(address.removeprefix(site.base))
    expect(record.get_by_text("The outcome of every dead letter is known")).to_be_visible()

    # The template is deployed, the network is back: two causes in one redrive.
    for code in ("EndpointConnectionError", "RenderError"):
        record.goto(page_of(code))
        record.locator("a[href*='/deadletter/redrive/']").click()
        record.get_by_role("button", name="Start the redrive").click()
        expect(record.get_by_role("button", name="Stop")).to_be_visible()

    # One letter needs other data.
    record.goto(page_of("BadData"))
    clicks = Clicks(record)
    [wrong] = numbers["BadData"]
    clicks.link(order_number(wrong))
    clicks.link("Edit and redrive")
    content = record.get_by_label("Data")
    data = json.loads(content.input_value())
    data["customer"]["email"] = f"zoe{wrong}@example.com"
    content.fill(json.dumps(data, indent=2))
    clicks.button("Check and preview")
    expect(record.frame_locator("iframe").get_by_text(order_number(wrong)).first).to_be_visible()
    clicks.button("Save and redrive")
    assert clicks.count == 4

    record.goto("/admin/queues/deadletter/groups/")
    wait_until(lambda: not Redrive.objects.unfinished().exists(), what="all redrives' ends")
    record.reload()
    expect(record.get_by_text("All is well.")).to_be_visible()
    owed = {order_number(number) for of_cause in numbers.values() for number in of_cause}
    assert sent_by_number(site) == Counter(owed)


DOMAINS = {"example.org": 36, "gmail.example": 15, "corp.example.net": 10, "example.net": 1}


def refuse(domains):
    """Make dead letters of emails to these domains, which SES's sandbox refused; returns their addresses."""
    addresses = [f"zoe{n}@{domain}" for domain, count in domains.items() for n in range(count)]
    for address in addresses:
        reason = dead_letters.UNVERIFIED + address
        dead_letters.make_dead_letter(
            dead_letters.placed(email=address), code="MessageRejected", reason=reason
        )
    return addresses


@pytest.fixture
def local_site(chromium, platform, tmp_path):
    """The product on the local AWS, whose SES knows identities."""
    site = Site(chromium, platform, api_key=tmp_path / "api-key.pem")
    yield site
    site.close()


def test_62_letters_of_four_domains_are_drained_in_three_clicks_a_domain(local_site):
    recipients = refuse(DOMAINS)
    staff = local_site.open_admin(page_of("MessageRejected"), name="operator")
    group = staff.url
    clicks = Clicks(staff)
    for domain, count in DOMAINS.items():
        expect(staff.get_by_text(f"{count} at {domain}", exact=True)).to_be_visible()
        clicks.button(f"Verify {domain}")
        expect(staff.get_by_text(f"Publish these DNS records for {domain}.")).to_be_visible()
        local_site.aws.verify(domain)
        clicks.link("Back to the dead letters")
        assert staff.url == group

    clicks.link("Redrive SES sandbox")
    expect(staff.get_by_label("62 will send")).to_be_checked()
    clicks.button("Start the redrive")
    expect(staff).to_have_url(re.compile("/admin/queues/redrive/.+/change/"))

    assert clicks.count <= 3 * len(DOMAINS)
    wait_until(lambda: Redrive.objects.get().ended_at, what="the end of the redrive")
    sent = Counter(address for mail in local_site.aws.mail() for address in mail["to"])
    assert sent == Counter(recipients)


def test_on_a_phone_a_redrive_takes_three_taps_and_the_list_of_redrives_hides_nothing(local_site):
    refuse({"example.org": 3})
    local_site.aws.set_sandbox_rules(False)
    staff = local_site.open_admin(dark=True, size=PHONE)
    taps = Clicks(staff)
    taps.link("SES sandbox")
    taps.link("Redrive SES sandbox")
    taps.button("Start the redrive")
    assert taps.count == 3
    wait_until(lambda: Redrive.objects.get().ended_at, what="the end of the redrive")

    staff.goto("/admin/queues/redrive/")

    cell = staff.locator("#result_list tbody th").first
    expect(cell).to_contain_text("SES sandbox: the recipient is not verified")
    expect(cell).to_contain_text("3 dead letters")
    assert cell.evaluate("cell => cell.scrollHeight <= cell.clientHeight")
    assert not overflows(staff)


def test_two_operators_at_once_start_one_redrive_stop_each_others_and_discard_once(site):
    bury(
        {
            "MessageRejected": (40, CAUSES["MessageRejected"][1]),
            "RenderError": CAUSES["RenderError"],
        }
    )
    start = page_of("MessageRejected")
    ann, bob = site.open_admin(start), site.open_admin(start, name="operator")
    for operator in (ann, bob):
        operator.get_by_role("link", name="Redrive SES sandbox").click()
        operator.get_by_label("Dead letters per second").fill("1")
        operator.get_by_label("Canary").uncheck()

    # A double click of the one, and the other one's at the same time.
    ann.get_by_role("button", name="Start the redrive").dblclick(no_wait_after=True)
    bob.get_by_role("button", name="Start the redrive").click(no_wait_after=True)
    for operator in (ann, bob):
        expect(operator).to_have_url(re.compile(r"/redrive/.+/change/|/redrive/$"))
    wait_until(
        lambda: RedriveItem.objects.exclude(released_at=None).exists(), what="a first letter"
    )
    taken = RedriveItem.objects.values_list("letter", flat=True)
    assert len(taken) == len(set(taken)) == 40

    # The one who did not start it stops it; the other sees that without a reload.
    redrive = Redrive.objects.get(total=40)
    starter, stopper = (ann, bob) if redrive.started_by == "admin" else (bob, ann)
    stopper.goto(f"/admin/queues/redrive/{redrive.pk}/change/")
    stopper.get_by_role("button", name="Stop").click()
    expect(stopper.get_by_text("1 redrive stopped.")).to_be_visible()
    expect(
        starter.locator("#content-main p:not([role])", has_text="Somebody stopped it; the history")
    ).to_be_visible()
    wait_for_end(redrive)
    for operator in (starter, stopper):
        # Each page renews itself once more, as the record.
        expect(operator.locator("[data-refresh]")).to_have_count(0)
    came_through = redrive.items.filter(outcome="accepted").count()

    # Both discard what nobody needs.
    group = page_of("RenderError")
    for operator in (ann, bob):
        operator.goto(group)
        operator.get_by_role("button", name="Discard The template").click()
        operator.get_by_label("Reason").fill("a test of the producer")
        operator.get_by_label("How many?").fill(str(CAUSES["RenderError"][0]))
    ann.get_by_role("button", name="Discard").click()
    expect(ann.get_by_text("39 dead letters discarded.")).to_be_visible()
    bob.get_by_role("button", name="Discard").click()
    expect(bob.get_by_text("somebody else was faster")).to_be_visible()

    assert DeadLetter.objects.filter(state="discarded").count() == CAUSES["RenderError"][0]
    assert DeadLetter.objects.waiting().count() == 40 - came_through
    assert set(sent_by_number(site).values()) == {1}


TEMPLATE = "order_confirmation"


def test_412_letters_of_a_template_error_are_accepted_in_three_clicks(site):
    subject = templates.own_sources(TEMPLATE)["subject.hbs"].strip()
    broken = templates.own_sources(TEMPLATE) | {"subject.hbs": "{{nickname}}" + subject}
    publishing.publish(TEMPLATE, broken, by="ada", why="a mistake")
    reason = f"{TEMPLATE}/subject.hbs: the data has no nickname"
    numbers = bury({"RenderError": (412, reason)})["RenderError"]
    staff = site.open_admin(page_of("RenderError"))
    clicks = Clicks(staff)

    clicks.link(f"Fix the template {TEMPLATE}")
    staff.locator(".cm-content[aria-label='subject.hbs']").fill(subject)
    staff.get_by_label("What changes, and why").fill("No event has a nickname")
    clicks.button("Save and rehearse")
    expect(staff.get_by_role("button", name="Publish and redrive the 412")).to_be_visible()
    assert barriers(staff) == []
    clicks.button("Publish and redrive the 412")

    assert clicks.count == 3
    expect(staff).to_have_url(re.compile("/admin/queues/redrive/.+/change/"))
    wait_for_end(Redrive.objects.get())
    expect(staff.get_by_text("412 of 412 succeeded.").first).to_be_visible()
    assert sent_by_number(site) == Counter(order_number(number) for number in numbers)
