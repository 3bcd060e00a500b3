"""What needs a person, by what it costs, and what may explain a chart."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from emails.models import Breaker
from queues.models import DeadLetter, Redrive
from queues.models.live import PausedQueue
from tests.support.dead_letters import make_dead_letter, placed
from tests.support.living import make_consumer, make_silent
from tests.support.rows import make_redrive, staff

LIVE = reverse("overview-live")

pytestmark = pytest.mark.django_db


def letters(client):
    problems = client.get(LIVE).context["problems"]
    [found] = [problem for problem in problems if problem.concern.key == "letters"]
    return found


def test_dead_letters_say_how_many_customers_wait_for_how_much_money(admin_client):
    for email in ("ada@example.com", "ada@example.com", "bob@example.com"):
        make_dead_letter(placed(email=email, total_cents=1250, currency="USD"))
    make_dead_letter(body="garbage", code="NotJson")

    problem = letters(admin_client)

    assert problem.is_wide
    assert problem.cost == "2 customers, $37.50"
    assert [(row.number, row.cost) for row in problem.rows] == [
        ("3", "2 customers, $37.50"),
        ("1", ""),
    ]


def test_whoever_may_not_see_personal_data_sees_no_money(client):
    make_dead_letter(placed(total_cents=1250, currency="USD"))
    client.force_login(staff("view_deadletter"))

    assert letters(client).cost == "1 customer"


def test_only_a_cause_that_grows_now_says_so(admin_client):
    make_dead_letter(code="Now")
    over = make_dead_letter(code="Over")
    DeadLetter.objects.filter(pk=over.pk).update(collected_at=timezone.now() - timedelta(minutes=6))

    news = {row.words: row.news for row in letters(admin_client).rows}

    assert sorted(news.values()) == ["", "1 new in 5 min"]


def test_what_can_wait_takes_a_line(admin_client):
    make_consumer()
    make_silent(host="gone")

    [problem] = admin_client.get(LIVE).context["problems"]

    assert not problem.is_wide
    assert "problem-wide" not in admin_client.get(LIVE).content.decode()


def test_charts_mark_what_may_explain_them(admin_client):
    now = timezone.now()
    make_consumer(release="1.2.0", started_at=now - timedelta(minutes=50))
    make_consumer(pid=18, release="1.2.0", started_at=now - timedelta(minutes=5))
    redrive = make_redrive(total=26, started_by="ada")
    Redrive.objects.filter(pk=redrive.pk).update(created_at=now - timedelta(minutes=40))
    old = make_redrive(total=3)
    Redrive.objects.filter(pk=old.pk).update(created_at=now - timedelta(hours=2))
    Breaker.objects.create(name="quota", opened_at=now - timedelta(minutes=30))
    PausedQueue.objects.create(
        alias="orders", paused_by="grace", reason="r", since=now - timedelta(minutes=20)
    )

    for chart in admin_client.get(LIVE).context["charts"]:
        assert [(mark.sign, mark.text) for mark in chart.marks] == [
            ("V", "version 1.2.0 started"),
            ("R", "26 dead letters redriven by ada"),
            ("S", "sending stopped: quota"),
            ("P", "queue orders paused by grace"),
        ]
        assert [mark.at for mark in chart.marks] == sorted(mark.at for mark in chart.marks)


def test_staff_who_may_not_see_redrives_see_no_mark_of_them(client):
    make_consumer()
    make_redrive()
    client.force_login(staff("view_consumer"))

    assert not client.get(LIVE).context["charts"][0].marks


def test_what_a_reader_hears_and_what_the_arrow_keys_read_escapes_what_others_wrote(admin_client):
    make_consumer()
    PausedQueue.objects.create(
        alias="orders", paused_by='"><script>', reason="r", since=timezone.now()
    )

    assert not re.search("<script>", admin_client.get(LIVE).content.decode())
