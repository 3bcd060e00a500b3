"""Fixtures for the tests of redrives."""

import pytest

from tests.support import lanterns


@pytest.fixture(autouse=True)
def mended():
    """No lantern is broken, and none was handled."""
    lanterns.mend()
