from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0018_address_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="sqs_message_id",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=100, verbose_name="SQS message id"
            ),
        ),
    ]
