from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0013_suppression_imports"),
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
