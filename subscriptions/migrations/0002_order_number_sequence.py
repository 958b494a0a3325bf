from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_orders_and_subscriptions")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE subscriptions_order_number AS bigint START WITH 100001",
            "DROP SEQUENCE subscriptions_order_number",
        ),
    ]
