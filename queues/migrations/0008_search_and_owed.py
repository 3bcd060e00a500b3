from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("queues", "0007_consumers")]

    operations = [
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(models.F("sqs_message_id"), name="dead_letter_message"),
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(
                models.F("state"),
                models.F("recorded_at"),
                condition=models.Q(("state__in", ["dead", "refused"])),
                name="outbox_stuck",
            ),
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(
                models.F("sqs_message_id"),
                condition=models.Q(("sqs_message_id__gt", "")),
                name="outbox_message",
            ),
        ),
    ]
