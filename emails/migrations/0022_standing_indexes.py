from django.db import migrations, models
from django.db.models import F, Q

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    """Let the list of emails find those that are unsent, cancelled or suppressed without reading all of them."""

    atomic = False
    dependencies = [("emails", "0021_readdress_right")]

    operations = [
        AddIndexOnline(
            "notification",
            models.Index(
                F("id"),
                condition=Q(("state__in", ["pending", "failed"])),
                name="notification_unsent_newest",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                F("id"),
                condition=Q(("attempts", 0), ("state", "pending")),
                name="notification_untried",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                F("event_id"),
                F("id"),
                condition=Q(("attempts__gt", 0), ("state", "pending")),
                name="notification_tried",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                F("state"),
                F("id"),
                condition=Q(("state__in", ["cancelled", "suppressed"])),
                name="notification_unwanted",
            ),
        ),
    ]
