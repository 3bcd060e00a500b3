from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("queues", "0008_search_and_owed")]

    operations = [
        migrations.AlterField(
            model_name="liveconsumer",
            name="kind",
            field=models.CharField(
                choices=[
                    ("consumer", "Consumer"),
                    ("relay", "Relay"),
                    ("archiver", "Archiver"),
                ],
                max_length=10,
            ),
        ),
    ]
