from django.db import migrations, models


class Migration(migrations.Migration):
    """The key of an address that is not ASCII; all others have theirs by lower case."""

    dependencies = [("emails", "0015_suppression_imports")]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="recipient_key",
            field=models.CharField(editable=False, max_length=254, null=True),
        ),
    ]
