"""Fixtures for the tests of redrives."""

import pytest

from tests.support import lanterns


@pytest.fixture(autouse=True)
def fixed():
    """No lantern is broken, and none was handled."""
    lanterns.fix()
