"""Every answer carries the headers that protect it, whatever page it is."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from notifier.web import content_policy
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

PROBES = ["/healthz", "/readyz", "/metrics", "/static/notifier/site.css"]


def patterns(resolver, before=""):
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route
        else:
            yield from patterns(entry, route)


def addresses():
    """One of each route there is; what stands in its place need not exist."""
    for route in sorted({*patterns(get_resolver())}):
        plain = re.sub(r"\(\?P<number>[^)]*\)", "ORD-000001", route)
        plain = re.sub(r"<uuid:\w+>", "6f1c1f0e-3f0a-4d0e-9a58-0d1d6b1f7a11", plain)
        plain = re.sub(r"<int:\w+>|<path:\w+>|<\w+:\w+>|<\w+>|\(\?P<\w+>[^)]*\)", "1", plain)
        yield "/" + re.sub(r"[\^$?]|\\Z", "", plain)


@pytest.fixture
def operator(settings):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    client = Client(raise_request_exception=False)
    client.force_login(staff(role="operator"))
    return client


def test_every_address_is_answered_with_the_headers_that_protect_it(operator, aws):
    found = list(addresses())
    assert len(found) > 100

    lacking = {
        address: missing
        for address in found
        if (missing := unprotected(address, operator.get(address, secure=True)))
    }

    assert lacking == {}


def unprotected(address, response):
    policy = response.get(content_policy.HEADER, "")
    right = {
        "nosniff": response.get("X-Content-Type-Options") == "nosniff",
        "no frame": response.get("X-Frame-Options") == "DENY"
        and "frame-ancestors 'none'" in policy,
        "no referrer": response.get("Referrer-Policy") == "same-origin",
        "TLS": response.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains",
        "only ours": policy.startswith("default-src 'none'; script-src 'self'"),
        "no inline script": "unsafe-inline" not in policy.partition("style-src")[0],
        "strict": address.startswith("/admin/") or "unsafe" not in policy,
    }
    return [name for name, holds in right.items() if not holds]


@pytest.mark.parametrize("address", PROBES)
def test_what_is_no_page_may_load_nothing_either(client, address):
    response = client.get(address)

    assert response[content_policy.HEADER].startswith("default-src 'none'")


def test_a_refused_body_of_the_api_comes_under_the_policy_too(client):
    response = client.post("/api/v1/orders", b" " * 70_000, content_type="application/json")

    assert response.status_code == 413
    assert "unsafe" not in response[content_policy.HEADER]


def test_a_mail_of_anybody_may_be_framed_by_the_mailbox_alone_and_runs_no_script(
    client, monkeypatch
):
    monkeypatch.setattr("sandbox.connection.mail", lambda mail_id: {"html": "<script>x()</script>"})

    response = client.get("/sandbox/mail/1/html/")

    policy = response[content_policy.HEADER]
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy and policy.startswith("default-src 'none'")
    assert response["X-Frame-Options"] == "SAMEORIGIN"
