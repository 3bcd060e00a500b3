from typing import Any

from django.db import migrations, models


class AddIndexOnline(migrations.AddIndex):
    """Adds the index without blocking writers (PostgreSQL manual, "Building Indexes Concurrently")."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{self.index.name}"')
        schema_editor.add_index(model, self.index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("emails", "0014_foreign_messages"),
    ]

    operations = [
        AddIndexOnline(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("sqs_message_id__gt", "")),
                fields=["sqs_message_id"],
                name="notification_message",
            ),
        ),
    ]
