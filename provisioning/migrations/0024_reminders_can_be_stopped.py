from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0023_operators")]

    operations = [
        migrations.AddField(
            model_name="part",
            name="reminders_stopped_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
