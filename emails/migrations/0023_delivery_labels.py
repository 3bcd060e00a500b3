from django.db import migrations, models


class Migration(migrations.Migration):
    """Change words that the admin shows; the database does nothing."""

    dependencies = [("emails", "0022_standing_indexes")]

    operations = [
        migrations.AlterModelOptions(
            name="deliveryevent",
            options={
                "ordering": ["happened_at", "id"],
                "verbose_name": "SES event",
                "verbose_name_plural": "SES events",
            },
        ),
        migrations.AlterField(
            model_name="notification",
            name="delivery_status",
            field=models.CharField(
                choices=[
                    ("none", "None"),
                    ("delayed", "Delayed"),
                    ("delivered", "Delivered"),
                    ("bounced_soft", "Soft bounce"),
                    ("bounced_hard", "Hard bounce"),
                    ("complained", "Marked as spam"),
                    ("rejected", "Rejected by SES"),
                    ("suppressed", "Not tried by SES"),
                ],
                default="none",
                max_length=12,
                verbose_name="delivery",
            ),
        ),
    ]
