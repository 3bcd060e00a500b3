"""Fixtures for the tests of the shop."""

import pytest

from tests.support.builders import make_product


@pytest.fixture
def product():
    """The one thing that the shop sells."""
    return make_product(name="Mug")
