"""The sidebar, and the heading, trail and title of each page, which follow from it."""

import re
from html import unescape

import pytest
from django.urls import reverse

from tests.support.builders import make_transaction
from tests.support.rows import make_dead_letter, staff

INDEX = reverse("admin:index")

pytestmark = pytest.mark.django_db


def groups_of(client):
    return client.get(INDEX).context["sidebar_navigation"]


def of_page(html):
    """The browser's title, the heading, and the steps of the trail with their links."""
    [title] = re.findall(r"<title>\s*(.*?)\s*</title>", html, re.S)
    [heading] = re.findall(r"<h1[^>]*>(.*?)</h1>", html, re.S)
    trail = "".join(re.findall(r'aria-label="Breadcrumb">(.*?)</nav>', html, re.S))
    steps = re.findall(r"<li>(?:<a href=\"([^\"]*)\">)?([^<]*)", trail)
    return unescape(title), unescape(heading), [(text, link) for link, text in steps]


def test_what_is_done_every_hour_comes_first(admin_client):
    daily, *others = groups_of(admin_client)

    titles = [item["title"] for item in daily["items"]]
    assert titles[:4] == ["Overview", "Search", "Dead letters", "Redrives"]
    assert [group["title"] for group in others] == ["Shop", "Bank", "Sending", "System", "Staff"]


def test_a_group_without_a_page_for_this_user_is_left_out(client):
    client.force_login(staff("view_deadletter"))

    html = client.get(INDEX).content.decode()

    assert "Dead letters" in html
    assert 'data-fold="Shop"' not in html
    assert 'data-fold="Staff"' not in html


def test_the_badge_is_hidden_while_no_dead_letter_waits(admin_client):
    badge = 'class="nav-badge" data-waiting="{}"{}>'

    assert badge.format(0, " hidden") in admin_client.get(INDEX).content.decode()
    make_dead_letter()
    assert badge.format(1, "") in admin_client.get(INDEX).content.decode()


def test_every_page_has_the_sidebars_name_as_its_heading_and_title(admin_client, aws, settings):
    settings.SANDBOX = False
    for group in groups_of(admin_client):
        for item in group["items"]:
            # It leads on to its first template.
            if item["title"] == "Templates":
                continue

            found = of_page(admin_client.get(item["link"]).content.decode())

            steps = [(group["title"], "")] if group["title"] else []
            assert found == (f"{item['title']} | Notifier", item["title"], steps)


def test_the_trail_of_a_row_leads_to_its_list_and_names_its_group_as_the_sidebar_does(admin_client):
    transaction = make_transaction()
    history = reverse("admin:orders_transaction_history", args=[transaction.pk])
    row = reverse("admin:orders_transaction_change", args=[transaction.pk])
    listed = reverse("admin:orders_transaction_changelist")
    above = [("Bank", ""), ("Transactions", listed)]

    of_row, of_history = (of_page(admin_client.get(at).content.decode()) for at in (row, history))

    assert of_row == (f"{transaction} | Notifier", str(transaction), above)
    assert of_history[2] == [*above, (str(transaction), row)]


def test_the_list_of_all_dead_letters_lies_below_their_causes(admin_client):
    make_dead_letter()

    html = admin_client.get(reverse("admin:queues_deadletter_changelist")).content.decode()

    title, heading, steps = of_page(html)
    assert (title, heading) == ("All dead letters | Notifier", "All dead letters")
    assert steps == [("Dead letters", reverse("admin:queues_deadletter_groups"))]


def test_a_page_outside_the_sidebar_is_named_by_its_own_title(admin_client):
    html = admin_client.get(reverse("admin:password_change")).content.decode()

    assert of_page(html) == ("Password change | Notifier", "Password change", [])
