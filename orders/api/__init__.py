"""The JSON API, ``/api/v1/``: the shop's and the bank's services for programs. ``docs/api.md`` describes it."""
