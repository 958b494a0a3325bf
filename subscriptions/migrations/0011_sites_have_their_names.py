import django.db.models.deletion
import django.db.models.functions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0010_names_of_what_is_set_up"),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE subscriptions_site ADD CONSTRAINT site_has_its_name FOREIGN KEY (name)"
            " REFERENCES subscriptions_sitename (name) DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE subscriptions_site DROP CONSTRAINT site_has_its_name",
        ),
        migrations.AlterField(
            model_name="location",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orgs.organization"
            ),
        ),
        migrations.AddConstraint(
            model_name="location",
            constraint=models.UniqueConstraint(
                django.db.models.functions.Lower("name"),
                models.F("organization"),
                name="location_name_once_in_its_organization",
            ),
        ),
    ]
