import queues.uuid7
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("queues", "0009_archiver")]

    operations = [
        migrations.CreateModel(
            name="Checkup",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=queues.uuid7.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("arguments", models.JSONField(default=dict)),
                ("asked_by", models.CharField(max_length=150)),
                ("asked_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("ran_on", models.CharField(blank=True, max_length=120)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("verdict", models.CharField(blank=True, max_length=10)),
                ("results", models.JSONField(default=list)),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("view_checkup", "Can view examinations and round trips"),
                    ("run_doctor", "Can have the installation examined"),
                    ("run_roundtrip", "Can have a probe sent through the queues"),
                ],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="checkup",
            index=models.Index(
                models.F("id"),
                condition=models.Q(("state", "waiting")),
                name="checkup_waiting",
            ),
        ),
    ]
