from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("emails", "0019_foreign_messages"),
    ]

    operations = [
        AddIndexOnline(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("sqs_message_id__gt", "")),
                fields=["sqs_message_id"],
                name="notification_message",
            ),
        ),
    ]
