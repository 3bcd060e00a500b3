"""Fixtures for the tests of alerts."""

import pytest


@pytest.fixture(autouse=True)
def admins(settings):
    """Set up somebody who is told, with links that lead somewhere."""
    settings.ADMINS = [("ops@example.com", "ops@example.com")]
    settings.BASE_URL = "https://shop.example.com"
