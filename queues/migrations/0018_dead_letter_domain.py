from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("queues", "0017_dead_letter_event")]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="domain",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=255, verbose_name="recipient's domain"
            ),
        ),
    ]
