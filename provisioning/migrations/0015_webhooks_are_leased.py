from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0014_api_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook", name="lease_until", field=models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField(model_name="webhook", name="fence", field=models.PositiveBigIntegerField(default=0)),
    ]
