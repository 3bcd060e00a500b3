import django.db.models.deletion
from django.db import migrations, models

from queues.online_migrations import AddIndexOnline, UnindexFieldOnline


class Migration(migrations.Migration):
    """Remove the outbox's indexes that no query needs: for the beginning of a subject, and of events that are no redrive."""

    atomic = False
    dependencies = [("queues", "0022_saved_filters")]

    operations = [
        AddIndexOnline("outboxevent", models.Index(models.F("subject"), name="outbox_subject")),
        UnindexFieldOnline("outboxevent", "subject", models.CharField(blank=True, max_length=200)),
        AddIndexOnline(
            "outboxevent",
            models.Index(
                models.F("redrive_of"),
                condition=models.Q(("redrive_of__isnull", False)),
                name="outbox_redrive",
            ),
        ),
        UnindexFieldOnline(
            "outboxevent",
            "redrive_of",
            models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="redrives",
                to="queues.deadletter",
            ),
        ),
    ]
