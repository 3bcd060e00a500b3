from django.db import migrations

OLD, NEW = "queues.view_checkup", "queues.view_doctorrun"


def rename(apps, schema_editor):
    """Remember the grant under the new name, so that a right which an administrator took away stays away."""
    apps.get_model("notifier", "RoleGrant").objects.filter(permission=OLD).update(permission=NEW)


def rename_back(apps, schema_editor):
    apps.get_model("notifier", "RoleGrant").objects.filter(permission=NEW).update(permission=OLD)


class Migration(migrations.Migration):
    dependencies = [("notifier", "0002_login_failures"), ("queues", "0012_doctor_runs")]

    operations = [migrations.RunPython(rename, rename_back)]
