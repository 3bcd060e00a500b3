"""Fixtures for the tests of the API."""

import pytest

from tests.support.api import ApiClient, id_token


@pytest.fixture
def ada():
    """A customer who has signed in."""
    return ApiClient(id_token())
