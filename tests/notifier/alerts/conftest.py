"""Fixtures for the tests of alerts."""

import pytest


@pytest.fixture(autouse=True)
def admins(settings):
    """Set up somebody who is told, with links that lead somewhere."""
    settings.ADMINS = [("ops@example.com", "ops@example.com")]
    settings.BASE_URL = "https://shop.example.com"
    # As in a consumer, which tells them.
    settings.ROOT_URLCONF = "notifier.page_names"


@pytest.fixture
def web(settings):
    """Be the web process, which serves pages and tells alerts where no consumer lives."""
    settings.ROOT_URLCONF = "notifier.urls"
