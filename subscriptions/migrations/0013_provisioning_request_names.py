from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0012_provisioning_requests")]

    operations = [
        migrations.AlterModelOptions(
            name="provisioningrequest",
            options={
                "ordering": ["pk"],
                "verbose_name": "provisioning request",
                "verbose_name_plural": "provisioning requests",
            },
        ),
    ]
