from django.db import migrations, models


class Migration(migrations.Migration):
    """Let the table of the default sender hold one row for each brand; the row that is there becomes the shop's.

    A release before this one goes on beside it: it reads and writes only the row 1, and the new columns have defaults.
    """

    dependencies = [("emails", "0023_delivery_labels")]

    operations = [
        migrations.RemoveConstraint("defaultsender", "one_default_sender"),
        migrations.AlterModelTable("defaultsender", "emails_defaultsender"),
        migrations.RenameModel("DefaultSender", "Brand"),
        migrations.AddField(
            "brand",
            "key",
            models.CharField(default="shop", db_default="shop", max_length=30, unique=True),
        ),
        *(
            migrations.AddField("brand", name, field)
            for name, field in [
                (
                    "reply_to",
                    models.EmailField("replies go to", blank=True, default="", db_default=""),
                ),
                (
                    "name",
                    models.CharField(
                        "name on the letterhead",
                        max_length=100,
                        blank=True,
                        default="",
                        db_default="",
                    ),
                ),
                (
                    "mark",
                    models.CharField(
                        "letter in the logo", max_length=2, blank=True, default="", db_default=""
                    ),
                ),
                (
                    "colour",
                    models.CharField(
                        choices=[
                            ("indigo", "Indigo"),
                            ("blue", "Blue"),
                            ("teal", "Teal"),
                            ("green", "Green"),
                            ("orange", "Orange"),
                            ("red", "Red"),
                            ("purple", "Purple"),
                            ("slate", "Slate"),
                        ],
                        max_length=10,
                        blank=True,
                        default="",
                        db_default="",
                    ),
                ),
                (
                    "footer",
                    models.CharField(
                        "postal address", max_length=300, blank=True, default="", db_default=""
                    ),
                ),
                (
                    "support",
                    models.EmailField(
                        "address for questions", blank=True, default="", db_default=""
                    ),
                ),
            ]
        ),
        migrations.AlterField("brand", "address", models.EmailField("sender", blank=True)),
        migrations.AlterField(
            "brand",
            "display_name",
            models.CharField("name of the sender", max_length=100, blank=True),
        ),
    ]
