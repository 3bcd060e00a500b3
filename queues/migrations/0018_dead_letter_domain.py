from django.db import migrations, models

from queues.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("queues", "0017_dead_letter_event")]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="domain",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=255, verbose_name="recipient's domain"
            ),
        ),
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
