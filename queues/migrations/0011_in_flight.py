from django.db import migrations, models


class Migration(migrations.Migration):
    """Call the field what it is, and leave the column as it is: no table changes."""

    dependencies = [("queues", "0010_checkups")]

    operations = [
        migrations.AlterField(
            "liveconsumer", "in_hand", models.PositiveIntegerField(db_column="in_hand", default=0)
        ),
        migrations.RenameField("liveconsumer", "in_hand", "in_flight"),
    ]
