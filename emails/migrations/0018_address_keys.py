from django.db import migrations, transaction
from django.db.models.functions import Lower

from queues import addresses
from queues.online_migrations import not_ascii


def fill_keys(apps, schema_editor):
    notifications = apps.get_model("emails", "Notification").objects
    for pk, recipient in not_ascii(notifications.all(), "recipient"):
        notifications.filter(pk=pk).update(recipient_key=addresses.key(recipient))


def fill_keys_and_merge_suppressions(apps, schema_editor):
    fill_keys(apps, schema_editor)
    bring_suppressions_in_line(apps, schema_editor)


def bring_suppressions_in_line(apps, schema_editor):
    """Keep each address in the form that is compared, and merge the rows of one address into the graver one."""
    suppressions = apps.get_model("emails", "Suppression").objects
    for pk, address in not_ascii(suppressions.all(), "address"):
        kept = addresses.kept(address)
        with transaction.atomic():
            same = suppressions.alias(folded=Lower("address")).filter(folded=kept.lower())
            found = [*suppressions.filter(pk=pk), *same.exclude(pk=pk)]
            for milder in sorted(found, key=_gravity)[1:]:
                milder.delete()
            graver = min(found, key=_gravity)
            graver.address = kept
            graver.save(update_fields=["address"])


def _gravity(row):
    """Active before lifted, a complaint before all else, then the older one."""
    return row.state != "active", row.source != "complaint", row.since, row.pk


class Migration(migrations.Migration):
    """Only rows with letters outside ASCII change, each in a transaction of its own."""

    atomic = False
    dependencies = [("emails", "0017_recipient_key_index")]

    operations = [
        migrations.RunPython(fill_keys_and_merge_suppressions, migrations.RunPython.noop),
    ]
