from django.db import migrations, models
from django.db.models.functions import Lower

import orders.validators


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="customer_email",
            field=models.EmailField(
                max_length=254,
                validators=[orders.validators.validate_recipient],
                verbose_name="email",
            ),
        ),
        migrations.AddIndex(
            model_name="bankaccount",
            index=models.Index(Lower("holder_email"), name="account_holder_email"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                Lower("customer_email"), models.F("id"), name="order_customer_email"
            ),
        ),
    ]
