from django.db import migrations, models
from django.db.models.functions import Coalesce, Lower

import orders.validators
from queues import addresses
from queues.models.migrating import AddIndexOnline, not_ascii


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


def _key(model, name):
    return migrations.AddField(
        model_name=model,
        name=name,
        field=models.CharField(editable=False, max_length=254, null=True),
    )


def _index(model, column, name):
    condition = models.Q((f"{column}__isnull", False))
    return AddIndexOnline(
        model_name=model, index=models.Index(models.F(column), condition=condition, name=name)
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "0005_api")]

    operations = [
        _key("customer", "email_key"),
        _key("order", "customer_email_key"),
        _key("bankaccount", "holder_email_key"),
        migrations.RunPython(fill_keys, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.UniqueConstraint(
                Coalesce("email_key", Lower("email")), name="one_customer_per_email_key"
            ),
        ),
        _index("order", "customer_email_key", "order_customer_email_key"),
        _index("bankaccount", "holder_email_key", "account_holder_email_key"),
        # No column changes: only what forms and models accept.
        migrations.AlterField(
            model_name="bankaccount",
            name="holder_email",
            field=models.EmailField(max_length=254),
        ),
        migrations.AlterField(
            model_name="bankaccount",
            name="holder_name",
            field=models.CharField(max_length=200, validators=[orders.validators.validate_name]),
        ),
        migrations.AlterField(
            model_name="bankaccount",
            name="number",
            field=models.CharField(
                max_length=34, unique=True, validators=[orders.validators.validate_name]
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="email",
            field=models.EmailField(max_length=254),
        ),
        migrations.AlterField(
            model_name="customer",
            name="name",
            field=models.CharField(max_length=200, validators=[orders.validators.validate_name]),
        ),
        migrations.AlterField(
            model_name="order",
            name="customer_email",
            field=models.EmailField(max_length=254, verbose_name="email"),
        ),
        migrations.AlterField(
            model_name="order",
            name="customer_name",
            field=models.CharField(
                max_length=200, validators=[orders.validators.validate_name], verbose_name="name"
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="shipping_city",
            field=models.CharField(
                max_length=100, validators=[orders.validators.validate_name], verbose_name="city"
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="shipping_country",
            field=models.CharField(
                max_length=100, validators=[orders.validators.validate_name], verbose_name="country"
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="shipping_name",
            field=models.CharField(
                max_length=200,
                validators=[orders.validators.validate_name],
                verbose_name="name of the recipient",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="shipping_postal_code",
            field=models.CharField(
                max_length=20,
                validators=[orders.validators.validate_name],
                verbose_name="postal code",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="shipping_street",
            field=models.CharField(
                max_length=200,
                validators=[orders.validators.validate_name],
                verbose_name="street and number",
            ),
        ),
        migrations.AlterField(
            model_name="product",
            name="name",
            field=models.CharField(max_length=200, validators=[orders.validators.validate_name]),
        ),
        migrations.AlterField(
            model_name="product",
            name="sku",
            field=models.CharField(
                max_length=50,
                unique=True,
                validators=[orders.validators.validate_name],
                verbose_name="SKU",
            ),
        ),
    ]
