from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("queues", "0005_redrives"),
    ]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="customer",
            field=models.CharField(blank=True, default="", db_default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="amount_cents",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="currency",
            field=models.CharField(blank=True, default="", db_default="", max_length=3),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="parked_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="note",
            field=models.CharField(blank=True, default="", db_default="", max_length=300),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="original_body",
            field=models.TextField(blank=True, default="", db_default=""),
        ),
        migrations.AlterModelOptions(
            name="deadletter",
            options={
                "ordering": ["-collected_at"],
                "permissions": [
                    ("collect_deadletter", "Can collect dead letters from SQS"),
                    ("redrive_deadletter", "Can redrive dead letters"),
                    ("edit_deadletter", "Can edit the data of dead letters and redrive them"),
                    ("park_deadletter", "Can park dead letters until a time"),
                    ("discard_deadletter", "Can discard dead letters, and open them again"),
                ],
            },
        ),
        migrations.RemoveIndex(
            model_name="deadletter",
            name="dead_letter_open",
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                models.F("collected_at"),
                models.F("parked_until"),
                condition=models.Q(("state", "open")),
                name="dead_letter_open",
            ),
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                models.F("fingerprint"),
                models.F("collected_at"),
                models.F("sent_at"),
                models.F("parked_until"),
                models.F("customer"),
                models.F("currency"),
                models.F("amount_cents"),
                condition=models.Q(("state", "open")),
                name="dead_letter_open_cause",
            ),
        ),
    ]
