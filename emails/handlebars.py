"""A Django template engine for Handlebars templates."""

from __future__ import annotations

from typing import Any

from django.template.backends.base import BaseEngine


class HandlebarsTemplates(BaseEngine):
    """Placeholder."""

    app_dirname = "handlebars"

    def __init__(self, params: dict[str, Any]) -> None:
        params = params.copy()
        self.options = params.pop("OPTIONS")
        super().__init__(params)
