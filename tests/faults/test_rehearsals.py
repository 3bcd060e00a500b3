"""Consumers and web processes that are killed while a draft is rehearsed, or published with a redrive."""

import signal
from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from emails.models import EmailTemplate, Notification, Rehearsal, TemplateVersion
from emails.rehearsal import jobs
from emails.rendering import templates
from emails.versions import drafts, publishing
from queues.models import Redrive
from tests.support.dead_letters import make_dead_letter, placed
from tests.support.processes import wait_until
from tests.support.rows import make_notification, rehearsed

pytestmark = pytest.mark.processes

NAME = "order_confirmation"
ORDERS = [f"ORD-{number:06}" for number in range(1, 5)]
ACT = """
from django.contrib.auth.models import User
from emails.rehearsal import acts, jobs
rehearsal = jobs.newest("order_confirmation")
acts.publish_and_redrive(rehearsal, by=User.objects.get(), why="fixed", key="once")
"""


def draft(subject="Fixed {{order_number}}"):
    files = templates.own_sources(NAME) | {"subject.hbs": subject}
    return drafts.save(NAME, files, by="ada", why="", revision=0)


@pytest.mark.locking
@pytest.mark.parametrize("step", [1, 2, 3])
def test_consumer_killed_in_a_rehearsal_is_followed_by_another_that_counts_all_once(platform, step):
    for _ in range(5):
        make_notification(state=Notification.State.SENT)
    dying = platform.consumer("orders", FAILPOINTS=f"rehearsing:{step}")

    rehearsal = jobs.ask(draft(), by="ada")
    assert dying.wait() == -signal.SIGKILL, dying.output
    assert not Rehearsal.objects.get().ended_at
    Rehearsal.objects.update(next_at=Now())
    platform.consumer("orders")
    wait_until(lambda: Rehearsal.objects.get().ended_at, what="the end of the rehearsal")

    rehearsal.refresh_from_db()
    assert rehearsal.counts["event/changed"] == 5
    assert rehearsal.cases.filter(kind="event").count() == 3


@pytest.mark.locking
@pytest.mark.parametrize(("point", "published"), [("publishing", 0), ("published", 1)])
def test_publish_and_redrive_killed_around_its_commit_sends_each_email_once(
    platform, point, published
):
    platform.environment |= {"DOUBT_GRACE_SECONDS": "1", "DOUBT_DISTANCE_SECONDS": "0"}
    broken = templates.own_sources(NAME) | {"subject.hbs": "{{nickname}}"}
    mistake = publishing.publish(NAME, broken, by="ada", why="a mistake")
    for number in ORDERS:
        make_dead_letter(placed(order_number=number))
    User.objects.create_user("ada")
    rehearsed(draft())

    dying = platform.manage("shell", "-c", ACT, FAILPOINTS=f"{point}:1")
    assert dying.wait() == -signal.SIGKILL, dying.output
    assert Redrive.objects.count() == published
    assert bool(drafts.of(NAME)) is not bool(published)
    assert (EmailTemplate.objects.get(name=NAME).published == mistake) is not bool(published)
    if not published:
        again = platform.manage("shell", "-c", ACT)
        assert again.wait() == 0, again.output
    # A consumer dies between SES's acceptance and its record.
    consumer = platform.consumer("orders", FAILPOINTS="after_ses:2")
    assert consumer.wait() == -signal.SIGKILL, consumer.output
    Notification.objects.filter(state="sending").update(lease_until=Now())
    platform.consumer()
    wait_until(lambda: Redrive.objects.get().ended_at, what="the end of the redrive", seconds=150)

    sent = Counter(mail["subject"] for mail in platform.aws.mail())
    assert sent == Counter(f"Fixed {number}" for number in ORDERS)
    version = TemplateVersion.objects.get(name=NAME, why="fixed")
    made = Notification.objects.filter(state="sent", edition__version=version)
    assert made.count() == len(ORDERS)
