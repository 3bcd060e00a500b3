from django.db import migrations, models
from django.db.models.functions import Coalesce, Lower

from queues.online_migrations import AddIndexOnline, AddUniqueOnline


def _index(model, column, name):
    condition = models.Q((f"{column}__isnull", False))
    return AddIndexOnline(
        model_name=model, index=models.Index(models.F(column), condition=condition, name=name)
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "0007_fill_address_keys")]

    operations = [
        AddUniqueOnline(
            model_name="customer",
            constraint=models.UniqueConstraint(
                Coalesce("email_key", Lower("email")), name="one_customer_per_email_key"
            ),
        ),
        _index("order", "customer_email_key", "order_customer_email_key"),
        _index("bankaccount", "holder_email_key", "account_holder_email_key"),
    ]
