from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("queues", "0018_dead_letter_domain")]

    operations = [
        AddIndexOnline(
            "deadletter",
            models.Index(
                models.F("fingerprint"),
                models.F("domain"),
                models.F("parked_until"),
                condition=models.Q(("state", "open")),
                name="dead_letter_open_domain",
            ),
        ),
    ]
