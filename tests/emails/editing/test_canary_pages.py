"""The page on which staff give a draft to a few emails first."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from emails.models import Canary, EmailTemplate, Notification
from emails.versions import canary, drafts, in_force, publishing
from notifier.alerts import concerns
from tests.support.builders import make_order
from tests.support.rows import rehearsed

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
State = Canary.State


def address(act=""):
    return reverse(f"admin:emails_emailtemplate_canary{act}", args=[NAME])


def draft(subject="New {{order_number}}"):
    files = publishing.own_files(in_force.sources(NAME)) | {"subject.hbs": subject}
    found = drafts.of(NAME)
    return drafts.save(NAME, files, by="bob", why="x", revision=found.revision if found else 0)


def start(client, *, revision=1):
    fields = {"seen": revision, "reason": "carefully", "needs": "accepted"}
    return client.post(address("_start"), fields, follow=True).content.decode()


@pytest.fixture
def emails(aws, consume):
    """Place an order and handle it; returns the subject of its email."""
    aws.verify("ada@example.com")

    def run():
        make_order()
        consume("orders")
        return in_force.render_recorded(Notification.objects.latest("id")).subject

    return run


def test_a_draft_goes_to_one_email_and_then_to_ten_and_stays_until_it_is_published(
    admin_client, emails
):
    rehearsed(draft())

    assert "The next email gets version" in start(admin_client)

    assert emails().startswith("New")
    page = admin_client.get(address()).content.decode()
    assert "1 of 10" in page
    assert drafts.of(NAME) is not None
    for _ in range(2):
        admin_client.post(address("_go_on"))
    assert Canary.objects.get().state == State.PUBLISHED
    assert drafts.of(NAME) is None
    assert in_force.render(NAME, Notification.objects.latest("id").context).subject[:3] == "New"


def test_a_draft_that_was_not_rehearsed_goes_to_nobody(admin_client):
    draft()

    assert "Rehearse this draft first" in start(admin_client)

    assert not Canary.objects.exists()


def test_a_canary_is_taken_back_with_a_reason(admin_client, emails):
    rehearsed(draft())
    start(admin_client)

    refused = admin_client.post(address("_go_back"), {"reason": ""}, follow=True)
    assert "Give a reason" in refused.content.decode()
    admin_client.post(address("_go_back"), {"reason": "a typo"})

    assert Canary.objects.get().state == State.ENDED
    assert not emails().startswith("New")
    assert "a typo" in admin_client.get(address()).content.decode()


def test_what_is_over_is_not_changed(admin_client):
    for act in ("_go_on", "_go_back"):
        page = admin_client.post(address(act), {"reason": "x"}, follow=True).content.decode()
        assert "The canary is over" in page


@pytest.mark.parametrize(
    "act, right",
    [
        ("_start", "publish_template"),
        ("_go_on", "publish_template"),
        ("_go_back", "roll_back_template"),
    ],
)
def test_each_act_takes_its_own_right(client, act, right):
    user = User.objects.create_user("eve", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="preview_email"))
    client.force_login(user)
    assert client.post(address(act)).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename=right))
    assert client.post(address(act)).status_code == 302


def test_a_version_that_went_back_or_waits_is_a_concern(admin_client):
    found = canary.start(NAME, draft().files, by="bob", why="x")
    assert not [each for each in concerns.current() if each.key.startswith("canary")]
    for state, word in ((State.PARKED, "waits"), (State.WENT_BACK, "went back")):
        Canary.objects.filter(pk=found.pk).update(
            state=state, note="Hard bounce: no such user.", ended_at=found.started_at
        )
        [concern] = [each for each in concerns.current() if each.key.startswith("canary")]
        assert concern.title.endswith(word)
        assert "no such user" in concern.advice
    assert EmailTemplate.objects.filter(name=NAME).exists()
