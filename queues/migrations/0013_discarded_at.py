from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("queues", "0012_doctor_runs")]

    operations = [
        migrations.AddField("deadletter", "discarded_at", models.DateTimeField(null=True)),
    ]
