from django.db import migrations


class Migration(migrations.Migration):
    """Rename the model, and leave the table as it is."""

    dependencies = [("emails", "0011_mail_from_right")]

    operations = [
        migrations.AlterModelTable("identitysighting", "emails_identitysighting"),
        migrations.RenameModel("IdentitySighting", "IdentityStatus"),
    ]
