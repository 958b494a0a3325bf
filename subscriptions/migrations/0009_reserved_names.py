import django.contrib.postgres.constraints
import django.db.models.deletion
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0005_words_for_the_desk"),
        ("subscriptions", "0008_ended_subscriptions_are_noted"),
    ]

    operations = [
        BtreeGistExtension(),
        migrations.CreateModel(
            name="SiteName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=63)),
                ("shape", models.CharField(max_length=63)),
                (
                    "order",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="site_names",
                        to="subscriptions.order",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("name",), name="site_name_once"),
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        expressions=[("shape", "="), ("organization", "<>")],
                        name="site_name_looks_like_no_other_organizations",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="location",
            name="organization",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddField(
            model_name="location",
            name="emergency_address",
            field=models.JSONField(default=dict),
        ),
    ]
