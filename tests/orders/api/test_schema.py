"""The API keeps what its OpenAPI document promises, whatever is sent to it."""

from __future__ import annotations

from decimal import Decimal

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from notifier.wsgi import application
from orders.models import Order
from queues.models import OutboxEvent
from tests.support.api import ApiClient, access_token, id_token, order
from tests.support.builders import make_account, make_product, make_transaction

pytestmark = pytest.mark.django_db

_CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(default=ProjectConfig(generation=GenerationConfig(deterministic=True)))
)
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application, config=_CONFIG)
RULES = {
    "balance_too_large",
    "currency_mismatch",
    "key_reused",
    "overdraft",
    "unknown_account",
    "unknown_product",
}
ACCOUNT = "US100200304821"


@pytest.fixture
def rows(settings):
    """Rows that requests may be about: an order of Ada's, an account with money, a product."""
    settings.API_REQUESTS_PER_MINUTE = 10**6
    account = make_account(number=ACCOUNT)
    make_transaction(account=account, amount=Decimal("150.00"))
    make_product(sku="MUG-1")
    ApiClient(id_token()).post("/orders", order("MUG-1"))


@pytest.fixture
def one_connection(rows):
    """A server closes its connections between requests; these requests are in the transaction of their test.

    After the rows are made: Django's own test client connects the signals again.
    """
    signals = [request_started, request_finished]
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@schema.parametrize()
@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(one_connection, case):
    is_bank = "orders" not in case.path
    token = access_token("transactions:write", "transactions:read") if is_bank else id_token()

    answer = case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        excluded_checks=[positive_data_acceptance],
    )

    # What fits the document is refused by a rule of the business alone.
    if case.meta.generation.mode.is_positive and answer.status_code in (400, 422):
        assert answer.json()["code"] in RULES, (answer.json(), case.body, case.headers)
    assert Order.objects.count() <= OutboxEvent.objects.count()
