"""After the password: who is asked for a second factor, what is taken for one, and what the others reach."""

import re

import pytest
from django.contrib.auth.models import User
from django.urls import get_resolver

from notifier.models import LoginFailure
from notifier.staff import recovery_codes
from tests.notifier.staff.second_factor import (
    PASSWORD,
    age_proof,
    code_of,
    let_time_pass,
    log_in,
    make_app,
    wrong_code,
)
from tests.support.rows import staff

pytestmark = pytest.mark.django_db


def text(response):
    return response.content.decode()


STEP = "/admin/login/second-step/"


@pytest.fixture
def ada():
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def app(ada):
    return make_app(ada)


@pytest.fixture
def half(client, app):
    """Gave the password, and has an app."""
    log_in(client)
    return client


def give(client, code, **fields):
    return client.post(STEP, {"code": code}, **fields)


def is_in(client):
    return client.get("/admin/").status_code == 200


def test_password_alone_lets_nobody_in_who_has_a_device(half):
    assert not is_in(half)
    assert half.get("/admin/", follow=True).redirect_chain[-1][0].startswith(STEP)


def test_code_of_the_app_lets_in_and_leads_where_the_person_was_going(client, app):
    log_in(client)

    response = give(client, code_of(app), QUERY_STRING="next=/admin/orders/order/")

    assert response["Location"] == "/admin/orders/order/"
    assert is_in(client)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
def test_second_step_leads_to_no_other_site(half, app, target):
    response = half.post(STEP, {"code": code_of(app), "next": target})

    assert response["Location"] == "/admin/"


def test_session_gets_a_new_key_at_both_steps(client, app):
    client.get("/admin/login/")
    keys = {client.session.session_key}
    log_in(client)
    keys.add(client.session.session_key)

    give(client, code_of(app))

    assert len(keys | {client.session.session_key}) == 3


def test_code_is_taken_once(half, client, app):
    code = code_of(app)
    give(half, code)
    half.post("/admin/logout/")
    log_in(half)

    response = give(half, code)

    assert "was used before" in text(response)
    assert not is_in(half)


@pytest.mark.parametrize("typed", [str.upper, str, lambda code: f" {code.replace('-', ' ')} "])
def test_recovery_code_lets_in_once_however_it_is_typed(half, ada, typed):
    first, *_ = recovery_codes.renew(ada)

    give(half, typed(first))
    assert is_in(half)

    half.post("/admin/logout/")
    log_in(half)
    assert give(half, first).status_code == 200
    assert not is_in(half)


def test_person_is_told_how_many_recovery_codes_are_left(half, ada):
    first, *_ = recovery_codes.renew(ada)

    response = half.post(STEP, {"code": first}, follow=True)

    assert "9 recovery codes left" in text(response)


def test_recovery_codes_are_stored_as_hashes_alone(ada):
    codes = recovery_codes.renew(ada)

    assert len(codes) == len(set(codes)) == 10
    stored = str(ada.recovery_codes.digests)
    assert not any(code.replace("-", "") in stored for code in codes)


def test_codes_of_others_let_nobody_in(half, client):
    grace = User.objects.create_user("grace", is_staff=True)
    recovery, *_ = recovery_codes.renew(grace)

    assert give(half, code_of(make_app(grace))).status_code == 200
    assert give(half, recovery).status_code == 200


def test_sixth_wrong_code_is_refused_with_the_time_to_wait_whatever_passwords_succeed(half, app):
    for _ in range(5):
        let_time_pass(app)
        assert give(half, wrong_code(app)).status_code == 200
        log_in(half)
    let_time_pass(app)

    response = give(half, code_of(app))

    assert response.status_code == 429
    assert 840 < int(response["Retry-After"]) <= 900
    assert not is_in(half)
    assert LoginFailure.objects.get().account == "ada (second step)"


def test_wrong_codes_from_many_addresses_slow_the_next_one_down(half, app):
    give(half, wrong_code(app), REMOTE_ADDR="203.0.113.1")

    response = give(half, code_of(app), REMOTE_ADDR="203.0.113.2")

    assert "Too many wrong codes. Try again in" in text(response)


def test_second_step_must_follow_within_a_quarter_of_an_hour(half, app):
    age_proof(half, minutes=16)

    response = give(half, code_of(app))

    assert response["Location"] == "/admin/login/"
    assert not is_in(half)


def test_whoever_is_half_logged_in_may_start_over(half):
    response = half.post("/admin/login/leave/", follow=True)

    assert "Username" in text(response)
    assert "_auth_user_id" not in half.session


def test_session_from_before_the_device_ends(client, ada):
    client.force_login(ada)
    assert is_in(client)

    make_app(ada)

    assert not is_in(client)


def test_session_ends_when_its_device_goes(half, app):
    give(half, code_of(app))
    assert is_in(half)

    app.delete()

    assert not is_in(half)
    assert "Username" in text(half.get("/admin/", follow=True))


@pytest.mark.parametrize(
    ("rule", "obliged"),
    [
        (["off"], set()),
        (["roles"], {"root", "support", "operator"}),
        (["all"], {"root", "support", "operator", "auditor", "none"}),
        (["auditor", "night shift"], {"root", "auditor"}),
    ],
)
def test_setting_says_who_must_set_one_up_before_they_reach_anything(
    client, settings, rule, obliged
):
    people = {name: staff(role=name) for name in ("support", "operator", "auditor")}
    people |= {"none": staff(), "root": User.objects.create_superuser("root")}
    settings.STAFF_SECOND_FACTOR = rule

    led = set()
    for name, user in people.items():
        client.force_login(user)
        if not is_in(client):
            led.add(name)
            page = client.get("/admin/", follow=True)
            assert "Your account needs a second factor" in text(page)

    assert led == obliged


def routes(patterns, prefix=""):
    """The patterns of all addresses of the site."""
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, here)
        else:
            yield here


# What to put where a pattern leaves room.
FILLINGS = {
    r"<uuid:\w+>": "0190b0a0-0000-7000-8000-000000000001",
    r"\(\?P<number>[^)]*\)": "ORD-000001",
    r"\(\?P<kind>[^)]*\)": "app",
    r"\(\?P<url>[^)]*\)": "x",
    r"\(\?P<\w+>[^)]*\)": "1",
    r"<(?:\w+:)?\w+>": "1",
    r"[\^$\\]": "",
}


def filled(route):
    """An address that matches this route."""
    for pattern, text in FILLINGS.items():
        route = re.sub(pattern, text, route)
    return f"/{route}"


OPEN = {STEP, "/admin/login/", "/admin/login/leave/", "/admin/login/passkey/"}
OPEN |= {"/admin/passkey-challenge/"}
# To set up a first device.
SET_UP = {f"/admin/security/{page}" for page in ("", "app/", "app/1/", "passkey/", "codes/")}


def leads_to_the_log_in(response):
    return response.status_code == 302 and response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("has_device", [True, False])
def test_half_logged_in_session_reaches_what_a_stranger_reaches_and_no_more(
    client, settings, ada, method, has_device
):
    settings.STAFF_SECOND_FACTOR = ["all"]
    if has_device:
        make_app(ada)
    stranger = type(client)()
    log_in(client)
    found = {filled(route) for route in routes(get_resolver().url_patterns)}
    assert len(found) > 100

    reached = set()
    for address in found - {"/admin/login/leave/"}:
        mine, theirs = (getattr(one, method)(address) for one in (client, stranger))
        is_shown = address.startswith("/admin/") and mine.status_code == 200
        is_other = mine.status_code != theirs.status_code or (
            mine.get("Location") != theirs.get("Location")
        )
        if is_shown or (is_other and not leads_to_the_log_in(mine)):
            reached.add(address)

    assert reached <= (OPEN if has_device else OPEN | SET_UP)
    assert client.get("/admin/login/")["Location"].startswith(STEP)
