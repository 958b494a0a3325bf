"""Look names up without their spaces. The indexes are made while people go on working, whatever the directory's size."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Replace

WITHOUT_SPACES = Replace("name_key", models.Value(" "), models.Value(""))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("orgs", "0008_likely_duplicates_for_the_desk"),
    ]

    operations = [
        AddIndexConcurrently("organization", models.Index(WITHOUT_SPACES, name="organization_joined_name")),
        AddIndexConcurrently("othername", models.Index(WITHOUT_SPACES, name="other_joined_name")),
        RemoveIndexConcurrently("organization", "organization_name_key"),
        RemoveIndexConcurrently("othername", "other_name_key"),
    ]
