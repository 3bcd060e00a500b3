from django.db import migrations, models

import orders.validators


def _key(model, name):
    return migrations.AddField(
        model_name=model,
        name=name,
        field=models.CharField(editable=False, max_length=254, null=True),
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_api")]

    operations = [
        _key("customer", "email_key"),
        _key("order", "customer_email_key"),
        _key("bankaccount", "holder_email_key"),
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
