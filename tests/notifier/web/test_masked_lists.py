"""Staff who may not see personal data cannot find it out either: not by parts, not by order, not by filters."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import TextField
from django.db.models.functions import Cast
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from emails.models import DeliveryEvent, Notification, Suppression
from emails.pages.own_pages import OwnPagesAdmin
from notifier.models import LoginFailure
from notifier.staff.roles import ROLES
from orders.models import Customer
from queues.models import SavedFilter
from queues.pages.lists import ListAdmin
from tests.support.builders import make_account, make_order, make_transaction
from tests.support.rows import (
    make_dead_letter,
    make_login_failure,
    make_notification,
    make_outbox_event,
    make_redrive,
    make_suppression,
    staff,
)

pytestmark = pytest.mark.django_db

ADDRESS = "canary-7f3@nest.example"
OTHER = "aardvark-1c@zoo.example"
NAME, CITY, PHONE, ORIGIN = "Canary Quillfeather", "Featherton", "+32-2-555-0199", "203.0.113.7"
# What a guesser tries, from the front or in the middle; none of it can stand in a random id.
PARTS = [
    *(
        "can",
        "canary",
        "canary-7",
        "anary-7f3@ne",
        "nest",
        "7f3@nest.example",
        "canary-7f3@nest.exampl",
    ),
    *("quill", "Quillfeather", "Feathert", "+32-2", "2-555-01", "203.0.113", "113.7"),
]
NOTHING = "zzz-nobody"


def row_of_each_kind(address, name):
    """One row of every model, with the address, the name, the city and the phone wherever they can stand."""
    personal = f"{name} {CITY} {PHONE} {address}"
    make_outbox_event(subject=address, body=personal, error=personal)
    make_dead_letter(subject=address, body=personal, reason=personal, note=personal)
    email = make_notification(recipient=address, subject=address, reason=personal)
    make_suppression(address=address, reason=personal, notification=email)
    DeliveryEvent.objects.create(
        provider_message_id="m", type="Bounce", recipient=address, raw={"who": personal},
        happened_at=timezone.now(),
    )  # fmt: skip
    make_redrive(what=personal, reason=personal, why=personal)
    make_login_failure(account=address, origin=ORIGIN)
    order = make_order(customer_name=name, customer_email=address, shipping_city=CITY)
    make_transaction(
        account=make_account(holder_name=name, holder_email=address), description=personal
    )
    user = User.objects.create_user(f"u-{User.objects.count()}", email=address)
    LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(Customer),
        object_id=str(order.pk),
        object_repr=name, action_flag=CHANGE, change_message=personal,
    )  # fmt: skip


def masked(role):
    """A user of this role without the right to see personal data; "any": with every right to look."""
    if role == "any":
        rights = Permission.objects.filter(codename__startswith="view_")
        return staff(*rights.exclude(codename="view_pii").values_list("codename", flat=True))
    group = Group.objects.get(name=role)
    group.permissions.remove(*group.permissions.filter(codename="view_pii"))
    return staff(role=role)


def lists():
    """Every admin that has a list of rows."""
    return [page for page in admin.site._registry.values() if isinstance(page, ListAdmin)]


def shown(page, user, **query):
    """What the user sees of a list: the rows and how many there are, or that it is refused."""
    request = RequestFactory().get("/admin/", query)
    request.user = user
    if not page.has_view_permission(request):
        return "forbidden"
    try:
        changelist = page.get_changelist_instance(request)
    except DisallowedModelAdminLookup:
        return "refused"
    return [row.pk for row in changelist.result_list], changelist.result_count


def test_every_list_bounds_and_masks():
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, (ListAdmin, OwnPagesAdmin)), model


@pytest.mark.parametrize("role", ["any", *ROLES])
def test_a_part_finds_what_finds_nobody(role):
    row_of_each_kind(ADDRESS, NAME)
    user = masked(role)

    for page in lists():
        nothing = shown(page, user, q=NOTHING)
        for part in PARTS:
            assert shown(page, user, q=part) == nothing, (page, part)


def test_the_same_parts_find_rows_for_those_who_may_know(admin_user):
    """Else the test above could not fail."""
    row_of_each_kind(ADDRESS, NAME)
    blind = {
        page.model.__name__
        for page in lists()
        if all(shown(page, admin_user, q=part) == ([], 0) for part in PARTS)
    }

    assert blind == {"Product", "Group", "DeliveryEvent", "Customer"}


@pytest.mark.parametrize("text", [ADDRESS, "CANARY-7F3@Nest.Example"])
@pytest.mark.parametrize("model", [Notification, Suppression, LoginFailure, User])
def test_a_whole_address_finds_its_rows(model, text):
    row_of_each_kind(ADDRESS, NAME)

    _, count = shown(admin.site.get_model_admin(model), masked("auditor"), q=text)

    assert count == 1


@pytest.mark.parametrize("role", ["any", *ROLES])
def test_no_column_sorts_by_what_is_masked(role):
    row_of_each_kind(ADDRESS, NAME)
    row_of_each_kind(OTHER, "Aaron Aardvark")
    user = masked(role)

    before = _in_every_order(user)
    _swap_what_is_masked()

    assert _in_every_order(user) == before


def test_the_same_columns_sort_for_those_who_may_know(admin_user):
    """Else the test above could not fail."""
    row_of_each_kind(ADDRESS, NAME)
    row_of_each_kind(OTHER, "Aaron Aardvark")

    before = _in_every_order(admin_user)
    _swap_what_is_masked()

    assert _in_every_order(admin_user) != before


def _in_every_order(user):
    columns = [f"{sign}{number}" for number in range(9) for sign in ("", "-")]
    return {(page, order): shown(page, user, o=order) for page in lists() for order in columns}


def _swap_what_is_masked():
    for page in lists():
        for name in getattr(page, "personal", ()):
            rows = dict(page.model.objects.values_list("pk", name))
            page.model.objects.update(**{name: _of_nobody(page.model, name)})
            for pk, other in zip(rows, reversed(rows.values()), strict=True):
                page.model.objects.filter(pk=pk).update(**{name: other})


def _of_nobody(model, name):
    """A value that breaks no constraint while two rows are swapped."""
    kind = model._meta.get_field(name).get_internal_type()
    return {"JSONField": {}, "BigIntegerField": None}.get(kind, Cast("pk", TextField()))


@pytest.mark.parametrize("question", ["", "__exact", "__startswith", "__icontains", "__gt", "__in"])
def test_no_filter_in_the_address_asks_for_what_is_masked(question):
    row_of_each_kind(ADDRESS, NAME)
    user = masked("any")

    for page in lists():
        for name in getattr(page, "personal", ()):
            assert shown(page, user, **{f"{name}{question}": ADDRESS}) == "refused", (page, name)


@pytest.mark.parametrize(("model", "field"), [("order", "customer"), ("transaction", "account")])
def test_autocompletion_tells_nothing(client, model, field):
    row_of_each_kind(ADDRESS, NAME)
    client.force_login(masked("any"))
    query = {"app_label": "orders", "model_name": model, "field_name": field, "term": "Canary"}

    assert client.get(reverse("admin:autocomplete"), query).status_code == 403


def test_the_search_box_finds_whole_addresses_only(client):
    row_of_each_kind(ADDRESS, NAME)
    client.force_login(masked("any"))

    for part in PARTS:
        assert client.get(reverse("search"), {"q": part}).context["hits"] == []
    assert client.get(reverse("search"), {"q": ADDRESS}).context["hits"]


def test_a_redrive_and_its_progress_name_no_address(client):
    letter = make_dead_letter()
    redrive = make_redrive(what=ADDRESS, reason=ADDRESS, why=ADDRESS, total=1)
    redrive.items.create(letter=letter, position=1, outcome="returned", detail=f"no {ADDRESS}")
    client.force_login(masked("auditor"))

    for page in ("change", "progress", "history"):
        content = client.get(
            reverse(f"admin:queues_redrive_{page}", args=[redrive.pk])
        ).content.decode()
        assert ADDRESS not in content


def export(page, user, **query):
    """The answer to this user's export of a list."""
    client = Client()
    client.force_login(user)
    address = reverse(f"admin:{page.opts.label_lower.replace('.', '_')}_export")
    return client.post(address, query_params=query)


def exported(page, user):
    """What the file of a list holds for this user."""
    return b"".join(export(page, user).streaming_content).decode()


def exportable():
    return [page for page in lists() if page.export]


def masked_exporter():
    rights = Permission.objects.filter(codename__regex="^(view|export)_")
    return staff(*rights.exclude(codename="view_pii").values_list("codename", flat=True))


def test_no_export_tells_what_the_list_masks():
    row_of_each_kind(ADDRESS, NAME)
    user = masked_exporter()

    for page in exportable():
        content = exported(page, user)
        assert len(content.splitlines()) >= 2, page
        for personal in (ADDRESS, "canary", "nest.example", ORIGIN):
            assert personal not in content, page


def test_the_same_exports_tell_it_to_those_who_may_know(admin_user):
    """Else the test above could not fail."""
    row_of_each_kind(ADDRESS, NAME)

    assert len(exportable()) == 3
    for page in exportable():
        assert ADDRESS in exported(page, admin_user), page


def test_an_export_refuses_the_filters_that_the_list_refuses():
    row_of_each_kind(ADDRESS, NAME)
    user = masked_exporter()

    for page in exportable():
        for name in page.personal:
            assert export(page, user, **{name: ADDRESS}).status_code == 400, (page, name)


def test_no_saved_filter_asks_for_what_is_masked(client):
    client.force_login(masked("any"))

    for page in lists():
        address = reverse(f"admin:{page.opts.label_lower.replace('.', '_')}_save_filter")
        for name in getattr(page, "personal", ()):
            response = client.post(f"{address}?{name}={ADDRESS}", {"name": "oracle"})
            assert response.status_code in (400, 403), (page, name)
    assert not SavedFilter.objects.exists()


def test_a_filter_saved_by_whoever_may_know_asks_no_more_once_they_may_not(client):
    row_of_each_kind(ADDRESS, NAME)
    address = reverse("admin:emails_notification_changelist")
    user = staff("view_notification", "view_pii")
    client.force_login(user)
    client.post(f"{reverse('admin:emails_notification_save_filter')}?q=anary-7f3", {"name": "her"})
    [saved] = SavedFilter.objects.all()
    assert client.get(f"{address}?{saved.query}").context["cl"].result_count == 1

    user.user_permissions.remove(Permission.objects.get(codename="view_pii"))

    assert client.get(f"{address}?{saved.query}").context["cl"].result_count == 0
