"""The API as its clients use it: requests with tokens of the local key."""

from __future__ import annotations

from typing import Any

from django.test import Client

from orders.api import local_tokens

ADA = "ada@example.com"
EVE = "eve@example.com"


def id_token(email: str = ADA, **options: Any) -> str:
    """Issue an ID token of a customer whose address is verified."""
    return local_tokens.issue(email=email, name="Ada Lovelace", use="id", **options)


def access_token(*scopes: str, email: str = ADA) -> str:
    """Issue an access token of an application, with scopes of ours."""
    return local_tokens.issue(email=email, use="access", scopes=scopes)


class ApiClient:
    """A client of the API; ``token`` is sent with each request unless it is empty."""

    def __init__(self, token: str = "") -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> Any:
        """GET below ``/api/v1``."""
        return self._client.get(f"/api/v1{path}", query, headers=self._headers)

    def post(
        self, path: str, body: Any, *, key: str = "", content_type: str = "application/json"
    ) -> Any:
        """POST; a text is sent as it is."""
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        return self._client.post(f"/api/v1{path}", body, content_type=content_type, headers=headers)


def order(sku: str, **changes: Any) -> dict[str, Any]:
    """Two of a product, for Ada."""
    address = {
        "name": "Ada Lovelace",
        "street": "12 St James's Square",
        "postal_code": "SW1Y 4JH",
        "city": "London",
        "country": "United Kingdom",
    }
    return {"shipping_address": address, "lines": [{"sku": sku, "quantity": 2}]} | changes
