"""Format money in templates: ``{{ order.total|money:order.currency }}``."""

from __future__ import annotations

from django import template

from orders.money import formatted

register = template.Library()
register.filter("money", formatted)
