from django.db import migrations, models


class Migration(migrations.Migration):
    """The groups and their rights are made by ``notifier.staff.roles`` when Django has made the permissions."""

    initial = True

    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="PersonalData",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "permissions": [("view_pii", "Can view personal data")],
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("role", models.CharField(max_length=50)),
                ("permission", models.CharField(max_length=150)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        models.F("role"), models.F("permission"), name="one_grant_per_role"
                    )
                ],
            },
        ),
        # What was done to a row is asked for by its timeline and its history. Django's table has no index for that.
        migrations.RunSQL(
            "CREATE INDEX notifier_log_of_row ON django_admin_log (content_type_id, object_id)",
            "DROP INDEX notifier_log_of_row",
        ),
    ]
