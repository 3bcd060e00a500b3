from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    """May find its indexes there: 0010 once made them, in one transaction with its columns."""

    atomic = False
    dependencies = [("emails", "0013_delivery_codes")]

    operations = [
        AddIndexOnline(
            "deliveryevent",
            models.Index(
                models.F("id"),
                condition=models.Q(("is_orphan", True)),
                name="delivery_event_orphan",
            ),
        ),
        AddIndexOnline(
            "deliveryevent",
            models.Index(
                models.F("type"),
                models.F("id"),
                condition=models.Q(
                    ("type__in", ["DeliveryDelay", "Bounce", "Complaint", "Reject", "Open", "Click"])
                ),
                name="delivery_event_notable",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                models.F("id"),
                condition=models.Q(("delivery_code__gt", "")),
                name="notification_trouble",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                models.F("id"),
                condition=models.Q(("opened_at__isnull", False)),
                name="notification_opened",
            ),
        ),
        AddIndexOnline(
            "notification",
            models.Index(
                models.F("id"),
                condition=models.Q(("clicked_at__isnull", False)),
                name="notification_clicked",
            ),
        ),
    ]
