from django.db import migrations, models

from queues.online_migrations import add_index, remove_index

# Each entry is in one of them: in what the log lists, or in the single rows of acts on many.
INDEXES = [
    models.Index(
        "action_time", "id", name="log_listed", condition=models.Q(action_flag__lt=20)
    ),
    models.Index("action_time", name="log_parts", condition=models.Q(action_flag=20)),
]


def build(apps, schema_editor):
    for index in INDEXES:
        add_index(schema_editor, apps.get_model("admin", "LogEntry"), index)


def remove(apps, schema_editor):
    for index in INDEXES:
        remove_index(schema_editor, apps.get_model("admin", "LogEntry"), index)


class Migration(migrations.Migration):
    # The table is Django's own, so no model of ours can name the indexes.
    atomic = False
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("notifier", "0005_export_permission"),
    ]

    operations = [migrations.RunPython(build, remove)]
