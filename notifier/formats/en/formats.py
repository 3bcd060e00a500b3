"""Define the English formats that differ from Django's own."""

# The zone is part of every time: staff read them in their own, see ``notifier.web.time_zones``.
DATETIME_FORMAT = "Y-m-d H:i:s T"
