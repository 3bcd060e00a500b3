from django.db import migrations, models
from django.db.models.functions import Coalesce

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("queues", "0013_discarded_at")]

    operations = [
        AddIndexOnline(
            "deadletter",
            models.Index(
                Coalesce("discarded_at", "redriven_at", "collected_at"),
                condition=models.Q(("state__in", ["redriven", "discarded"])),
                name="dead_letter_closed",
            ),
        ),
    ]
