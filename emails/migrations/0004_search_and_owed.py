from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("emails", "0003_cancel_notification")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="recipient",
            field=models.EmailField(max_length=254),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(Lower("recipient"), models.F("id"), name="notification_recipient"),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                models.F("state"),
                models.F("created_at"),
                condition=models.Q(("state__in", ["pending", "failed"])),
                name="notification_unsent",
            ),
        ),
    ]
