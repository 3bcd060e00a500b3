import subprocess
import sys

import pytest
from django.core.checks import run_checks

from tests.support.aws.local_aws import ROOT

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool"


# Django 6 asks the database what it can.
pytestmark = pytest.mark.django_db


def found(**options):
    messages = run_checks(**options)
    return {message.id for message in messages if str(message.id).startswith("orders.")}


def test_deployment_that_takes_its_proxy_for_everybody_is_warned(settings):
    assert found(include_deployment_checks=True) == {"orders.W001"}

    settings.TRUSTED_PROXIES = 1

    assert found(include_deployment_checks=True) == set()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"FOREIGN_ACCOUNTS": "some"}, "orders.E001"),
        ({"COGNITO_ISSUER": POOL.replace("https", "http")}, "orders.E002"),
        ({"COGNITO_CLIENT_IDS": []}, "orders.E003"),
        ({"API_LOCAL_KEY": "key.pem"}, "orders.E004"),
        ({"API_REQUESTS_PER_MINUTE": 0}, "orders.E005"),
        ({"FORM_POSTS_PER_MINUTE": -1}, "orders.E006"),
        ({"FORM_ORDERS_PER_HOUR": -1}, "orders.E006"),
    ],
)
def test_setting_that_cannot_be_meant_is_named(settings, changes, error):
    settings.COGNITO_ISSUER, settings.COGNITO_CLIENT_IDS = POOL, ["a"]
    settings.API_LOCAL_KEY = ""
    assert found() == set()

    for name, value in changes.items():
        setattr(settings, name, value)

    assert found() == {error}


def _run(code, **environment):
    """Run code in a process with production's settings and these."""
    production = {
        "DJANGO_SETTINGS_MODULE": "notifier.settings",
        "ENV_FILE": "/dev/null",
        "SECRET_KEY": "Zr8vQpLm2Xc7Tn4Kd9Wb6Yh3Jg5Fs1Aa",
        "SES_FROM_EMAIL": "shop@example.com",
    }
    return subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {code}"],
        cwd=ROOT,
        env=production | environment,
        capture_output=True,
        text=True,
    )


def test_production_refuses_a_local_key():
    done = _run("", API_LOCAL_KEY="var/key.pem")

    assert done.returncode != 0
    assert "API_LOCAL_KEY is for development" in done.stderr


def test_without_an_issuer_there_is_no_api_and_consumers_load_none_of_it():
    done = _run(
        "import sys, notifier.urls, queues.consumer.loop;"
        "assert not [p for p in notifier.urls.urlpatterns if str(p.pattern) == 'api/v1/'];"
        "assert not {'ninja', 'jwt', 'orders.api.app'} & sys.modules.keys()"
    )

    assert done.returncode == 0, done.stderr


def test_with_an_issuer_there_is_one():
    done = _run(
        "from django.urls import reverse; print(reverse('api:read_order', args=['ORD-000001']))",
        COGNITO_ISSUER=POOL,
        COGNITO_CLIENT_IDS="a",
    )

    assert done.stdout == "/api/v1/orders/ORD-000001\n", done.stderr
