from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import timezone

from notifier.models import LoginFailure
from notifier.staff import lockouts
from orders.limits import client_address
from tests.support.rows import make_login_failure, staff
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

WRONG = "wrong"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def ada():
    return User.objects.create_user("ada", password="right", is_staff=True)


def log_in(client, password=WRONG, *, name="ada", address=HERE, **headers):
    fields = {"username": name, "password": password}
    return client.post("/admin/login/", fields, REMOTE_ADDR=address, headers=headers)


def fail(client, times=lockouts.MOST_FAILURES, **how):
    return [log_in(client, **how).status_code for _ in range(times)]


def age(minutes):
    LoginFailure.objects.update(last_at=timezone.now() - timedelta(minutes=minutes))


def test_sixth_failure_is_refused_with_the_time_to_wait(client, ada):
    assert fail(client) == [200] * 5

    response = log_in(client)

    assert response.status_code == 429
    assert 840 < int(response["Retry-After"]) <= 900
    assert "Try again in 15 minutes" in response.content.decode()


def test_locked_page_says_nothing_but_that_it_is_locked(client, ada):
    fail(client)

    locked = log_in(client).content.decode()

    assert locked.count('class="errornote') == 1
    assert "Please correct" not in locked


def test_right_password_opens_nothing_while_locked(client, ada):
    fail(client)

    assert log_in(client, "right").status_code == 429
    assert "_auth_user_id" not in client.session


def test_account_is_open_from_elsewhere_and_others_from_there(client, ada):
    User.objects.create_user("grace", password="right", is_staff=True)
    fail(client)

    assert log_in(client, "right", address=ELSEWHERE).status_code == 302
    assert log_in(client, "right", name="grace").status_code == 302


def test_quarter_of_an_hour_after_the_last_failure_it_opens(client, ada):
    fail(client)
    age(14)
    assert log_in(client, "right").status_code == 429

    age(16)

    assert log_in(client, "right").status_code == 302


def test_no_more_than_five_fall_into_any_quarter_of_an_hour(client, ada):
    fail(client, 4)
    age(14)
    assert fail(client, 2) == [200, 429]


def test_right_password_forgets_the_failures_before_it(client, ada):
    fail(client, 4)

    assert log_in(client, "right").status_code == 302

    assert not LoginFailure.objects.exists()


@pytest.mark.parametrize("name", [" ada", "ada ", "ａｄａ"])
def test_another_spelling_of_an_account_is_the_same(client, ada, name):
    fail(client)

    assert log_in(client, name=name).status_code == 429


def test_unknown_account_is_answered_and_locked_just_as_a_known_one(client, ada):
    known = [log_in(client) for _ in range(6)]
    unknown = [log_in(client, name="nobody") for _ in range(6)]

    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    for left, right in zip(known, unknown, strict=True):
        assert words(left) == words(right)


def words(response):
    return [str(error) for error in response.context_data["form"].non_field_errors()]


def test_password_of_an_unknown_account_is_hashed_as_often(client, ada, monkeypatch):
    hashed = []
    encode = MD5PasswordHasher.encode

    def counted(*args):
        hashed.append(args)
        return encode(*args)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)

    log_in(client)
    for_a_known_one = len(hashed)
    log_in(client, name="nobody")

    assert len(hashed) == 2 * for_a_known_one > 0


def test_incomplete_form_counts_nothing(client, ada):
    fail(client, 6, password="")

    assert not LoginFailure.objects.exists()


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_time_are_counted_one_by_one():
    def guess():
        return [lockouts.begin("ada", HERE) for _ in range(3)]

    waits = [wait for waits in at_once(4, guess) for wait in waits]

    assert waits.count(0) == lockouts.MOST_FAILURES
    assert LoginFailure.objects.get().failures == lockouts.MOST_FAILURES


def test_lock_is_logged_once_without_what_was_typed(client, ada, caplog):
    fail(client, 7)
    fail(client, 7, name="hunter2@example.com")

    lines = [line for line in caplog.messages if line.startswith("log-in locked")]
    assert lines == [
        f"log-in locked user={ada.pk} from=203.0.113.0/24 minutes=15",
        "log-in locked user=unknown from=203.0.113.0/24 minutes=15",
    ]
    assert "hunter2" not in caplog.text and HERE not in caplog.text


def test_unlocked_account_may_be_tried_five_times_again(client, ada):
    fail(client)

    assert lockouts.unlock(LoginFailure.objects.all()) == 1

    assert fail(client, 6) == [200] * 5 + [429]


def test_failures_that_count_no_more_are_deleted(client, ada):
    fail(client, 1)
    fail(client, 1, address=ELSEWHERE)
    LoginFailure.objects.filter(origin=HERE).update(
        last_at=timezone.now() - timedelta(minutes=15, seconds=1)
    )

    assert lockouts.forget_old_failures() == 1

    assert LoginFailure.objects.get().origin == ELSEWHERE


def test_what_a_client_says_of_its_address_is_believed_as_far_as_there_are_proxies(
    client, ada, settings
):
    settings.TRUSTED_PROXIES = 1
    fail(client, address="127.0.0.1", **{"X-Forwarded-For": f"9.9.9.9, {HERE}"})

    again = log_in(client, address="127.0.0.1", **{"X-Forwarded-For": f"8.8.8.8, {HERE}"})

    assert again.status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded", "caller", "origin"),
    [
        (0, "1.1.1.1", HERE, HERE),
        (1, "1.1.1.1", HERE, "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", HERE, "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", HERE, "1.1.1.1"),
        (2, "1.1.1.1", HERE, HERE),
        (1, "", HERE, HERE),
        (1, "<script>", HERE, HERE),
        (1, "1.1.1.1", "", "1.1.1.1"),
        (0, "1.1.1.1", "", ""),
        (0, "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (0, "", "::ffff:203.0.113.7", HERE),
        (0, "", "fe80::1%eth0", "fe80::/64"),
    ],
)
def test_origin_of_a_request(settings, proxies, forwarded, caller, origin):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR=caller)

    assert client_address.origin(request) == origin


@pytest.mark.parametrize(
    ("origin", "masked"),
    [
        (HERE, "203.0.113.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("", "this machine"),
    ],
)
def test_log_names_a_network_and_no_customer(origin, masked):
    assert client_address.masked(origin) == masked


def test_who_may_not_know_persons_sees_a_network_and_no_address(client):
    row = make_login_failure()
    client.force_login(staff(role="auditor"))

    for page in ("", f"{row.pk}/change/"):
        text = client.get(f"/admin/notifier/loginfailure/{page}").content.decode()

        assert "a***@e***.com" in text and "203.0.113.0/24" in text
        assert "ada@example.com" not in text and row.origin not in text


def test_page_says_how_long_a_lock_lasts(client):
    row = make_login_failure()
    client.force_login(staff(role="operator"))

    page = client.get(f"/admin/notifier/loginfailure/{row.pk}/change/")

    assert "for another 15 min" in page.content.decode()
