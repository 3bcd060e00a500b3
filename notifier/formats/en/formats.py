"""Define the English formats that differ from Django's own."""

DATETIME_FORMAT = "Y-m-d H:i:s"
