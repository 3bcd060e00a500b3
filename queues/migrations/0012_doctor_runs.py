from django.db import migrations

_NAMES = {
    "view_checkup": (
        "view_doctorrun",
        "Can view examinations and round trips",
        "Can view doctor runs and round trips",
    ),
    "run_doctor": ("run_doctor", "Can have the installation examined", "Can run the doctor"),
    "run_roundtrip": (
        "run_roundtrip",
        "Can have a probe sent through the queues",
        "Can send a probe through the queues",
    ),
}


def rename(apps, schema_editor):
    """Rename the permissions instead of making new ones, so that groups and users keep their rights."""
    permissions = apps.get_model("auth", "Permission").objects
    for old, (new, _, name) in _NAMES.items():
        permissions.filter(content_type__app_label="queues", codename=old).update(
            codename=new, name=name
        )


def rename_back(apps, schema_editor):
    permissions = apps.get_model("auth", "Permission").objects
    for old, (new, name, _) in _NAMES.items():
        permissions.filter(content_type__app_label="queues", codename=new).update(
            codename=old, name=name
        )


class Migration(migrations.Migration):
    """Rename the model and its permission, and leave the table as it is."""

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("queues", "0011_in_flight"),
    ]

    operations = [
        migrations.AlterModelTable("checkup", "queues_checkup"),
        migrations.RenameModel("Checkup", "DoctorRun"),
        migrations.AlterModelOptions(
            "doctorrun",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("view_doctorrun", "Can view doctor runs and round trips"),
                    ("run_doctor", "Can run the doctor"),
                    ("run_roundtrip", "Can send a probe through the queues"),
                ],
                "default_permissions": (),
            },
        ),
        migrations.RunPython(rename, rename_back),
    ]
