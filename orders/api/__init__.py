"""The JSON API, ``/api/v1/``: services of shop and bank for programs. ``docs/reference/api.md`` describes it."""
