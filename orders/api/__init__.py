"""Offer the services of shop and bank to programs: the JSON API, ``/api/v1/``. ``docs/api.md`` describes it."""
