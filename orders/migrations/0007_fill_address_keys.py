from django.db import migrations, models
from django.db.models.functions import Coalesce, Lower

from queues import addresses
from queues.online_migrations import not_ascii


def fill_keys(apps, schema_editor):
    """Give the rows with letters outside ASCII their keys; all others have theirs by lower case.

    Two customers who registered one address in two spellings stay two, and the older one has the key.
    """
    customers = apps.get_model("orders", "Customer").objects
    for pk, email in not_ascii(customers.all(), "email"):
        key = addresses.key(email)
        lower = Coalesce("email_key", Lower("email"), output_field=models.CharField())
        known = customers.alias(key=lower)
        if not known.filter(key=key).exclude(pk=pk).exists():
            customers.filter(pk=pk).update(email_key=key)
    for model, column in (("Order", "customer_email"), ("BankAccount", "holder_email")):
        # Order's own manager refuses updates: an order is a fact, and its key is no part of it.
        rows = models.QuerySet(apps.get_model("orders", model))
        for pk, address in not_ascii(rows.all(), column):
            rows.filter(pk=pk).update(**{f"{column}_key": addresses.key(address)})


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "0006_address_keys")]

    operations = [migrations.RunPython(fill_keys, migrations.RunPython.noop)]
