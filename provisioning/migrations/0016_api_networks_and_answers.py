import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0015_webhooks_are_leased")]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="networks",
            field=models.JSONField(blank=True, default=list, verbose_name="networks"),
        ),
        migrations.CreateModel(
            name="ApiAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255)),
                ("request_hash", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("status", models.PositiveSmallIntegerField(default=0)),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(default=bytes)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="answers",
                        to="provisioning.apikey",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="api_answer_by_age")],
                "constraints": [models.UniqueConstraint(fields=("key", "name"), name="api_answer_once_per_key")],
            },
        ),
    ]
