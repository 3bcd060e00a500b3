from django.db import migrations

from queues.online_migrations import batches


def say_that_it_was_not_recorded(apps, schema_editor):
    """Lists find trouble by its code, and what was reported before release 1.0.0 has none."""
    unnamed = (
        apps.get_model("emails", "Notification")
        .objects.filter(delivery_code="")
        .exclude(delivery_status__in=["none", "delivered"])
    )
    for batch in batches(unnamed):
        batch.update(delivery_code="unrecorded")


class Migration(migrations.Migration):
    """May run twice: 0010 once did this, in one transaction with its columns and indexes."""

    atomic = False
    dependencies = [("emails", "0012_identity_status")]

    operations = [
        migrations.RunPython(say_that_it_was_not_recorded, migrations.RunPython.noop, elidable=True)
    ]
