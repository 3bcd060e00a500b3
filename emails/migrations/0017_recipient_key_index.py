from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("emails", "0016_recipient_key")]

    operations = [
        AddIndexOnline(
            model_name="notification",
            index=models.Index(
                models.F("recipient_key"),
                condition=models.Q(("recipient_key__isnull", False)),
                name="notification_recipient_key",
            ),
        ),
    ]
