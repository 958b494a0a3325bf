from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0003_names_for_the_order_desk"),
    ]

    operations = [
        migrations.AlterField(
            model_name="orderline",
            name="service",
            field=models.CharField(max_length=10),
        ),
    ]
