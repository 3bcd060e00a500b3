"""A person saves filters of a list for themselves; they let nobody ask more than the list does."""

from __future__ import annotations

import pytest
from django.urls import reverse

from queues.console import list_url
from queues.models import DeadLetter, SavedFilter
from tests.support.rows import make_dead_letter, staff

pytestmark = pytest.mark.django_db

LIST = list_url(DeadLetter)
SAVE = reverse("admin:queues_deadletter_save_filter")
QUERY = "code=KeyError&state=open"


def own(client):
    return [(saved.name, saved.query) for saved in client.get(LIST).context["saved_filters"]]


def change(pk):
    return reverse("admin:queues_deadletter_change_filter", args=[pk])


@pytest.fixture
def saved(admin_client):
    admin_client.post(f"{SAVE}?{QUERY}", {"name": "Keys"})
    return SavedFilter.objects.get()


def test_a_filter_is_saved_under_a_name_and_applied_by_a_click(admin_client):
    make_dead_letter(code="KeyError")
    make_dead_letter(code="Other")

    response = admin_client.post(
        f"{SAVE}?state=open&code=KeyError&p=1", {"name": " Keys "}, follow=True
    )

    assert own(admin_client) == [("Keys", QUERY)]
    assert (
        f'<a class="list-tool" href="?{QUERY.replace("&", "&amp;")}" aria-current="true">Keys</a>'
        in (response.content.decode())
    )
    assert response.context["cl"].result_count == 1


def test_a_name_that_exists_gets_the_new_filter(admin_client, saved):
    admin_client.post(f"{SAVE}?state=redriven", {"name": "Keys"})

    assert own(admin_client) == [("Keys", "state=redriven")]


def test_a_filter_is_renamed_and_deleted(admin_client, saved):
    admin_client.post(change(saved.pk), {"name": "Missing keys"})
    assert own(admin_client) == [("Missing keys", QUERY)]

    admin_client.post(change(saved.pk), {"name": "x", "delete": "1"})
    assert own(admin_client) == []


def test_a_name_stands_once(admin_client, saved):
    admin_client.post(f"{SAVE}?state=open", {"name": "Open"})

    admin_client.post(change(saved.pk), {"name": "Open"})

    assert sorted(name for name, _ in own(admin_client)) == ["Keys", "Open"]


def test_nobody_sees_renames_or_deletes_what_another_saved(client, admin_client, saved):
    client.force_login(staff(role="operator"))

    assert own(client) == []
    for fields in ({"name": "mine"}, {"delete": "1"}):
        assert client.post(change(saved.pk), fields).status_code == 404
    assert SavedFilter.objects.get().name == "Keys"


@pytest.mark.parametrize("name", ["", " ", "a" * 61, "a\0b"])
def test_a_name_that_cannot_be_one_is_refused(admin_client, saved, name):
    admin_client.post(f"{SAVE}?state=open", {"name": name})
    admin_client.post(change(saved.pk), {"name": name})

    assert own(admin_client) == [("Keys", QUERY)]


def test_a_list_that_is_not_filtered_has_nothing_to_save(admin_client):
    response = admin_client.post(SAVE, {"name": "All"}, follow=True)

    assert "This list is not filtered." in response.content.decode()
    assert own(admin_client) == []


def test_their_number_is_bounded(admin_client):
    for number in range(SavedFilter.MOST + 2):
        admin_client.post(f"{SAVE}?state=open", {"name": f"f{number}"})

    assert SavedFilter.objects.count() == SavedFilter.MOST


@pytest.mark.parametrize("query", ["body__startswith=a", "password=x", "collected_at_from=never"])
def test_what_the_list_refuses_is_not_saved(admin_client, query):
    assert admin_client.post(f"{SAVE}?{query}", {"name": "x"}).status_code == 400
    assert not SavedFilter.objects.exists()


def test_saving_takes_the_right_to_see_the_list(client):
    client.force_login(staff("view_redrive"))

    assert client.post(f"{SAVE}?state=open", {"name": "x"}).status_code == 403


def test_a_name_is_text_and_no_markup(admin_client):
    admin_client.post(f"{SAVE}?state=open", {"name": "<script>"})

    assert "&lt;script&gt;" in admin_client.get(LIST).content.decode()


def test_an_empty_list_says_what_will_be_here_and_a_filtered_one_how_to_clear_it(admin_client):
    assert "No dead letters yet" in admin_client.get(LIST).content.decode()

    page = admin_client.get(f"{LIST}?state=redriven").content.decode()

    assert "No dead letters match this filter" in page
    assert '<a class="text-link" href="?">Clear the filter</a>' in page
