from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("queues", "0007_consumers")]

    operations = [
        AddIndexOnline(
            model_name="deadletter",
            index=models.Index(models.F("sqs_message_id"), name="dead_letter_message"),
        ),
        AddIndexOnline(
            model_name="outboxevent",
            index=models.Index(
                models.F("state"),
                models.F("recorded_at"),
                condition=models.Q(("state__in", ["dead", "refused"])),
                name="outbox_stuck",
            ),
        ),
        AddIndexOnline(
            model_name="outboxevent",
            index=models.Index(
                models.F("sqs_message_id"),
                condition=models.Q(("sqs_message_id__gt", "")),
                name="outbox_message",
            ),
        ),
    ]
