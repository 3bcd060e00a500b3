"""Staff set up and use a second factor, with a passkey that Chromium pretends to have."""

import base64

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import expect

from emails.models import Suppression
from tests.notifier.staff.second_factor import PASSWORD, code_for, code_of, let_time_pass, make_app
from tests.support.browser import DESKTOP, PHONE, barriers, overflows, take_picture
from tests.support.rows import make_suppression

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOGIN, STEP, SECURITY = "/admin/login/", "/admin/login/second-step/", "/admin/security/"


@pytest.fixture
def ada(settings):
    settings.STAFF_SECOND_FACTOR = ["roles"]
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def page(chromium, live_server, ada):
    """A page at a host name: no browser makes a passkey for a number."""
    context = chromium.new_context(
        base_url=live_server.url.replace("127.0.0.1", "localhost"),
        viewport={"width": DESKTOP[0], "height": DESKTOP[1]},
        reduced_motion="reduce",
    )
    problems = []
    context.on("console", lambda said: problems.extend([said.text] * (said.type == "error")))
    page = context.new_page()
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def authenticator(page):
    """A phone or laptop that recognises its owner."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def give_password(page):
    page.goto(LOGIN)
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: not url.endswith(LOGIN))


def log_out(page):
    page.goto(SECURITY)
    with page.expect_navigation(url="**/admin/logout/"):
        page.locator("#logout-form").evaluate("form => form.submit()")


def faults(page, name):
    """What is wrong with the page, light and dark, on a desk and on a phone."""
    for scheme in ("dark", "light"):
        # As Unfold's own switch does; a page that answers a POST cannot be loaded again.
        page.evaluate(
            "dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark"
        )
        yield from (f"{name}, {scheme}: {barrier}" for barrier in barriers(page))
        for size in (DESKTOP, PHONE):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            take_picture(page, f"second-factor/{name}-{size[0]}-{scheme}")
            if overflows(page):
                yield f"{name}: scrolls sideways at {size[0]} px"
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


def test_person_who_must_have_one_sets_up_app_and_codes_and_is_in(page):
    give_password(page)
    expect(page.get_by_text("Your account needs a second factor")).to_be_visible()
    assert not list(faults(page, "set-up"))

    page.get_by_role("link", name="Set up an app").click()
    key = page.locator(".factor-key").inner_text().replace(" ", "")
    assert not list(faults(page, "app"))
    page.get_by_label("Code from the app").fill(code_for(base64.b32decode(key).hex()))
    page.keyboard.press("Enter")

    expect(page.locator(".factor-codes li")).to_have_count(10)
    assert not list(faults(page, "codes"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    kept = download.value.path().read_text().split()
    assert kept == page.locator(".factor-codes li").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("**/admin/")


def test_passkey_is_added_and_logs_in_as_second_step_and_alone(page, ada, authenticator):
    app = make_app(ada)
    give_password(page)
    assert not list(faults(page, "second-step"))
    page.get_by_label("Code").fill(code_of(app))
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")

    page.goto(SECURITY)
    page.get_by_label("Name of the passkey").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("You have set up the passkey “Work laptop”.")).to_be_visible()
    page.goto(SECURITY)
    assert not list(faults(page, "security"))

    log_out(page)
    give_password(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/admin/")

    log_out(page)
    page.goto(f"{LOGIN}?next={SECURITY}")
    assert not list(faults(page, "login"))
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url(f"**{SECURITY}")


def test_lift_asks_again_and_goes_on(page, ada, authenticator):
    app = make_app(ada)
    row = make_suppression()
    give_password(page)
    page.get_by_label("Code").fill(code_of(app))
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    let_the_proof_grow_old(page)

    page.goto(f"/admin/emails/suppression/{row.pk}/change/")
    page.get_by_role("button", name="Lift").click()
    expect(page.get_by_role("heading", name="Confirm that it is you", level=2)).to_be_visible()
    assert not list(faults(page, "step-up"))
    let_time_pass(app)
    page.get_by_label("Code").fill(code_of(app))
    page.keyboard.press("Enter")
    page.get_by_label("Reason").fill("She asked for it")
    page.get_by_role("button", name="Lift").click()
    page.wait_for_load_state()

    assert Suppression.objects.get().state == "lifted"


def let_the_proof_grow_old(page):
    cookies = page.context.cookies()
    key = next(cookie["value"] for cookie in cookies if cookie["name"] == "sessionid")
    session = SessionStore(key)
    session["proven_at"] -= 16 * 60
    session.save()


def test_challenge_after_a_password_logs_nobody_in_by_a_passkey_alone(page, ada, authenticator):
    app = make_app(ada)
    give_password(page)
    page.get_by_label("Code").fill(code_of(app))
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    page.goto(SECURITY)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("You have set up the passkey")).to_be_visible()
    log_out(page)
    give_password(page)

    # The answer goes to the log-in by passkey alone, though the challenge was for the second step.
    page.locator("form", has=page.locator("[data-passkey]")).evaluate(
        "form => { form.action = '/admin/login/passkey/' }"
    )
    page.get_by_role("button", name="Use a passkey").click()

    expect(page.get_by_text("This passkey was not accepted")).to_be_visible()
    page.goto("/admin/")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
