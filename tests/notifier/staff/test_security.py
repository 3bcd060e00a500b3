"""The page where people manage their own second factor."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from notifier.models import RecoveryCodes
from notifier.staff import factors, recovery_codes
from tests.notifier.staff.second_factor import (
    PASSWORD,
    age_proof,
    code_for,
    code_of,
    log_in,
    make_app,
    wrong_code,
)

pytestmark = pytest.mark.django_db

PAGE, APP, CODES = "/admin/security/", "/admin/security/app/", "/admin/security/codes/"
STEP, CHALLENGE = "/admin/login/second-step/", "/admin/passkey-challenge/"


def text(response):
    return response.content.decode()


@pytest.fixture
def ada(client):
    user = User.objects.create_superuser("ada", password=PASSWORD)
    log_in(client)
    return user


@pytest.fixture
def app(client, ada):
    """Logged in with it."""
    app = make_app(ada)
    client.post(STEP, {"code": code_of(app)})
    return app


def make_passkey(user, name="Work laptop"):
    return WebAuthnCredential.objects.create(
        user=user, name=name, credential_id=name.encode(), public_key=b"k", aaguid="0"
    )


def set_up_app(client):
    client.get(APP)
    return client.post(APP, {"code": code_for(client.session["authenticator_key"])})


def shown_codes(response):
    return re.findall(r"<li><code>([a-z0-9-]{19})</code>", text(response))


def page_of(device):
    kind = "app" if isinstance(device, TOTPDevice) else "passkey"
    return f"{PAGE}{kind}/{device.pk}/"


def test_app_is_set_up_by_a_code_and_recovery_codes_are_shown_once(client, ada):
    response = set_up_app(client)

    assert len(shown_codes(response)) == 10
    assert TOTPDevice.objects.get(user=ada).confirmed
    assert not shown_codes(client.get(PAGE))
    assert client.get("/admin/").status_code == 200
    assert "Set up an authenticator app" in LogEntry.objects.get().change_message


def test_wrong_code_sets_up_nothing_and_keeps_the_key(client, ada):
    client.get(APP)
    key = client.session["authenticator_key"]

    response = client.post(APP, {"code": wrong_code(TOTPDevice(key=key))})

    assert "This code is wrong" in text(response)
    assert not TOTPDevice.objects.exists()
    assert client.session["authenticator_key"] == key


def test_picture_of_the_key_is_in_the_page_and_loads_nothing(client, ada):
    page = client.get(APP)

    assert "<svg" in text(page)
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "no-store" in page["Cache-Control"]


def test_new_app_replaces_the_old_one_and_leaves_the_recovery_codes(client, ada, app):
    recovery_codes.renew(ada)

    response = set_up_app(client)

    assert response["Location"] == PAGE
    assert TOTPDevice.objects.get().pk != app.pk
    assert len(ada.recovery_codes.digests) == 10
    assert client.get("/admin/").status_code == 200


def test_new_recovery_codes_replace_the_old_ones(client, ada, app):
    old, *_ = recovery_codes.renew(ada)

    new = shown_codes(client.post(CODES))

    digests = RecoveryCodes.objects.get().digests
    assert [RecoveryCodes.digest(code) for code in new] == digests
    assert RecoveryCodes.digest(old) not in digests


def test_device_is_renamed(client, ada, app):
    client.post(page_of(app), {"rename": "yes", "name": "Blue phone"})

    assert "Blue phone" in text(client.get(PAGE))


def test_device_is_removed_and_the_session_that_did_it_goes_on(client, ada, app):
    make_passkey(ada)

    client.post(page_of(app), {"remove": "yes"})

    assert not TOTPDevice.objects.exists()
    assert client.get("/admin/").status_code == 200
    assert "Removed “Authenticator app”" in LogEntry.objects.get().change_message


def test_recovery_codes_go_with_the_last_device(client, ada, app):
    recovery_codes.renew(ada)

    client.post(page_of(app), {"remove": "yes"})

    assert not RecoveryCodes.objects.exists()
    assert client.get("/admin/").status_code == 200


def test_last_device_stays_where_one_is_obligatory(client, settings, ada, app):
    settings.STAFF_SECOND_FACTOR = ["roles"]
    assert "Set up another before you remove it" in text(client.get(page_of(app)))

    client.post(page_of(app), {"remove": "yes"})

    assert factors.has_device(ada)


def test_other_sessions_end_with_the_device_that_they_began_with(client, ada, app):
    other = type(client)()
    log_in(other)
    other.post(STEP, {"code": next(iter(recovery_codes.renew(ada)))})
    assert other.get("/admin/").status_code == 200

    client.post(page_of(app), {"remove": "yes"})

    assert other.get("/admin/").status_code == 302


def test_nobody_changes_the_device_of_somebody_else(client, ada, app):
    theirs = make_app(User.objects.create_user("grace"))

    assert client.post(page_of(theirs), {"remove": "yes"}).status_code == 404
    assert TOTPDevice.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("page", [APP, CODES, "/admin/security/passkey/", "device"])
def test_changes_ask_again_after_a_quarter_of_an_hour(client, ada, app, page):
    age_proof(client, minutes=16)

    response = client.post(page_of(app) if page == "device" else page, {"remove": "yes"})

    assert "Confirm that it is you" in text(response)
    assert factors.has_device(ada)


# --- Passkeys


@pytest.mark.parametrize(
    ("host", "possible"),
    [
        ("localhost:8000", True),
        ("127.0.0.1:8000", False),
        ("[::1]:8000", False),
        ("testserver", False),
    ],
)
def test_passkeys_are_offered_where_browsers_make_them(client, settings, ada, host, possible):
    settings.ALLOWED_HOSTS = ["*"]

    page = text(client.get(PAGE, HTTP_HOST=host))

    assert ("Add a passkey" in page) == possible
    assert ("Open the console at such an address" in page) != possible


def test_challenge_names_the_host_and_the_passkeys_of_whoever_gave_the_password(client, ada):
    make_passkey(ada)
    stranger = type(client)()

    known = client.post(CHALLENGE, {"for": "use"}, HTTP_HOST="localhost:8000").json()
    unknown = stranger.post(CHALLENGE, {"for": "use"}, HTTP_HOST="localhost:8000").json()

    assert known["rpId"] == "localhost"
    assert len(known["allowCredentials"]) == 1
    assert not unknown.get("allowCredentials")
    assert unknown["userVerification"] == "required"


@pytest.mark.parametrize("has_device", [True, False])
def test_only_whoever_may_add_a_passkey_gets_the_challenge_for_it(client, settings, has_device):
    settings.STAFF_SECOND_FACTOR = ["all"]
    ada = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    if has_device:
        make_app(ada)

    assert client.post(CHALLENGE, {"for": "new"}).status_code == 403
    log_in(client)
    assert (client.post(CHALLENGE, {"for": "new"}).status_code == 403) == has_device


@pytest.mark.parametrize("answer", ["", "x", "[]", "{}", '{"id": "a"}', "[" * 100_000])
def test_odd_answers_are_refused(client, ada, answer):
    make_passkey(ada)
    client.post(CHALLENGE, {"for": "use"})

    response = client.post(STEP, {"passkey": answer})

    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302
    client.post(CHALLENGE, {"for": "use"})
    assert client.post("/admin/login/passkey/", {"passkey": answer})["Location"] == "/admin/login/"


def test_answer_without_a_challenge_is_refused(client, ada):
    make_passkey(ada)

    assert "was not accepted" in text(client.post(STEP, {"passkey": "{}"}))


def test_session_of_a_stranger_with_a_challenge_lasts_ten_minutes_and_that_of_the_person_as_ever(
    client,
):
    User.objects.create_superuser("ada", password=PASSWORD)
    client.post(CHALLENGE, {"for": "use"})
    assert client.session.get_expiry_age() == 600

    log_in(client)

    assert client.session.get_expiry_age() == 14 * 24 * 3600
