from django.db import migrations, models
from django.db.models import F

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    """Let the list of emails tell from the index alone which of them are dead letters."""

    atomic = False
    dependencies = [("queues", "0016_redrive_buckets")]

    operations = [
        AddIndexOnline(
            "deadletter", models.Index(F("event_id"), F("state"), name="dead_letter_event")
        ),
    ]
