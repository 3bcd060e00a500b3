import django.db.models.deletion
from django.db import migrations, models

from queues.online_migrations import AddIndexOnline, UnindexFieldOnline


class Migration(migrations.Migration):
    """Remove the indexes that no query needs: of each text the one for its beginning, and those that another begins with."""

    atomic = False
    dependencies = [("emails", "0026_template_versions")]

    operations = [
        AddIndexOnline(
            "notification", models.Index(models.F("subject"), name="notification_subject")
        ),
        UnindexFieldOnline("notification", "subject", models.CharField(blank=True, max_length=200)),
        AddIndexOnline(
            "notification",
            models.Index(models.F("provider_message_id"), name="notification_ses_message"),
        ),
        UnindexFieldOnline(
            "notification",
            "provider_message_id",
            models.CharField(blank=True, max_length=100, verbose_name="SES message id"),
        ),
        UnindexFieldOnline(
            "attempt",
            "notification",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="attempt_rows",
                to="emails.notification",
            ),
        ),
        UnindexFieldOnline(
            "deliveryevent",
            "provider_message_id",
            models.CharField(max_length=100, verbose_name="SES message id"),
        ),
    ]
