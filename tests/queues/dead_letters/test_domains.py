from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from emails.models.identities import IdentityStatus
from queues.dead_letters import causes
from queues.models import DeadLetter
from tests.support.dead_letters import UNVERIFIED, make_dead_letter, placed, staff

pytestmark = pytest.mark.django_db

GROUPS = reverse("admin:queues_deadletter_groups")
LETTERS = reverse("admin:queues_deadletter_changelist")
START = reverse("admin:queues_redrive_start")
VERIFY = reverse("admin:emails_identity_verify")
IDENTITIES = reverse("admin:emails_identity_changelist")


def refuse(*recipients: str) -> DeadLetter:
    """Make a dead letter of each, which SES refused; returns the last."""
    for address in recipients:
        letter = make_dead_letter(
            placed(email=address), code="MessageRejected", reason=UNVERIFIED + address
        )
    return letter


def page_of(letter: DeadLetter) -> str:
    return reverse("admin:queues_deadletter_group", args=[letter.fingerprint])


def domains() -> list[tuple[str, int, bool]]:
    [group] = causes.waiting()
    return [(domain.name, domain.count, domain.is_fixed) for domain in group.domains]


def mark_verified(*names: str) -> None:
    for name in names:
        IdentityStatus.objects.create(
            name=name, status="Success", since=timezone.now(), seen_at=timezone.now()
        )


def text_of(client: Any, address: str, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_recipients_are_counted_by_domain_the_most_frequent_first():
    refuse("ada@example.org", "bob@Example.ORG", "zoe@gmail.example", "eve@bücher.example")
    make_dead_letter(body="not JSON", code="Other")

    groups = {group.code: group for group in causes.waiting()}

    assert [(d.name, d.count) for d in groups["MessageRejected"].domains] == [
        ("example.org", 2),
        ("gmail.example", 1),
        ("xn--bcher-kva.example", 1),
    ]
    assert not groups["Other"].names_domains


def test_a_card_names_the_first_domains_and_counts_the_others(admin_client):
    refuse(*[f"ada@{n}.example" for n in range(causes.MOST_DOMAINS + 2)])

    [group] = causes.waiting()

    assert (len(group.domains), group.more_domains) == (causes.MOST_DOMAINS, 2)
    assert "2 at other domains" in text_of(admin_client, GROUPS)


def test_each_domain_is_verified_by_one_click_and_the_way_back_is_kept(admin_client, aws):
    letter = refuse("ada@example.org", "zoe@gmail.example")
    page = text_of(admin_client, page_of(letter))
    assert "Verify example.org" in page
    assert f'name="next" value="{page_of(letter)}"' in page

    response = admin_client.post(
        VERIFY, {"name": "example.org", "next": page_of(letter)}, follow=True
    )

    detour = response.content.decode()
    assert "DNS records to publish" in detour
    assert f'href="{page_of(letter)}"' in detour
    assert "Back to the dead letters" in detour


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_back_leads_to_no_other_site(admin_client, aws, back):
    pages = [
        text_of(admin_client, IDENTITIES, next=back),
        admin_client.post(
            VERIFY, {"name": "a@example.org", "next": back}, follow=True
        ).content.decode(),
    ]

    assert not any("Back to the dead letters" in page for page in pages)


def test_a_verified_domain_is_redriven_and_not_verified_again(admin_client):
    letter = refuse("ada@example.org", "ada@shop.example.org", "zoe@gmail.example")
    mark_verified("example.org")

    page = text_of(admin_client, page_of(letter))

    assert domains() == [
        ("example.org", 1, True),
        ("gmail.example", 1, False),
        ("shop.example.org", 1, True),
    ]
    assert "Verify gmail.example" in page
    assert "Verify example.org" not in page


def test_a_redrive_is_the_act_that_helps_once_every_domain_is_verified():
    refuse("ada@example.org", "zoe@gmail.example")
    mark_verified("example.org")
    [before] = causes.waiting()

    mark_verified("gmail.example")
    [after] = causes.waiting()

    assert (before.act, after.act) == ("fix", "redrive")


@pytest.mark.parametrize(
    ("chosen", "count"),
    [(["example.org"], 2), (["example.org", "gmail.example"], 3), ([], 4), (["none.example"], 0)],
)
def test_a_redrive_takes_the_chosen_domains_only(admin_client, chosen, count):
    letter = refuse("a@example.org", "b@example.org", "c@gmail.example", "d@other.example")
    query = {
        "fingerprint": letter.fingerprint,
        "state__exact": "open",
        "parked": "no",
        "domain": chosen,
    }

    response = admin_client.get(START, query)

    assert response.context["forecast"].count == count


def test_a_letter_says_to_whom_and_for_how_much_and_where_its_reason_differs(admin_client):
    letter = refuse("ada@example.org", "zoe@gmail.example")

    page = text_of(admin_client, page_of(letter))

    assert "EU-WEST-1: ada@example.org" in page
    assert "<span>zoe@gmail.example</span>" in page
    total = Decimal(placed().data["total_cents"]) / 100
    assert page.count(f"<span>${total:,.2f}</span>") == 2
    # The whole reason is on the card once.
    assert page.count("failed the check") == 1


def test_the_list_cuts_a_reason_in_its_middle_for_its_end_says_what_matters(admin_client):
    refuse("ada@example.org")

    page = text_of(admin_client, LETTERS)

    assert "Email address is not ver … " in page
    assert "EU-WEST-1: ada@example.org</small>" in page


def test_an_edit_moves_a_letter_to_its_new_domain():
    stake = placed(email="ada@example.net").model().stake()

    assert stake is not None
    assert stake.domain == "example.net"
    assert "ada" not in repr(stake)


def test_without_the_right_to_see_addresses_a_domain_is_masked_and_finds_nothing(client):
    letter = refuse("ada@example.org", "zoe@gmail.example")
    client.force_login(staff("view_deadletter", "redrive_deadletter", "verify_identity"))

    pages = [text_of(client, address) for address in (GROUPS, page_of(letter), LETTERS)]

    for page in pages:
        assert "example.org" not in page
        assert "gmail.example" not in page
    assert "at e***.org" in pages[0]
    assert "a***@e***.org" in pages[2]
    assert client.get(LETTERS, {"domain": "example.org"}).status_code in (302, 400)
    assert client.get(START, {"domain": "example.org"}).status_code == 400
