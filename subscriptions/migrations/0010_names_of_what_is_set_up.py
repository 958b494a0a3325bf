from django.db import migrations


def take_names(apps, schema_editor):
    """Sites have their names from now on; a location whose organization has its name already gets a number."""
    site_name = apps.get_model("subscriptions", "SiteName")
    shapes = {}
    for site in apps.get_model("subscriptions", "Site").objects.select_related("subscription__line").order_by("pk"):
        shape = site.name.translate(str.maketrans("01i", "oll", "-")).replace("rn", "m").replace("vv", "w")
        organization = site.subscription.organization_id
        # Two organizations have had look-alikes since before that was refused: the younger one's stands for itself.
        if shapes.setdefault(shape, organization) != organization:
            shape = site.name
        site_name.objects.create(
            name=site.name, shape=shape, organization_id=organization, order_id=site.subscription.line.order_id
        )
    location = apps.get_model("subscriptions", "Location")
    seen = set()
    for each in location.objects.select_related("subscription").order_by("pk"):
        each.organization_id = each.subscription.organization_id
        plain, number = each.name, 1
        while (each.organization_id, each.name.lower()) in seen:
            number += 1
            each.name = f"{plain[:76]} {number}"
        seen.add((each.organization_id, each.name.lower()))
        each.save()


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0009_reserved_names"),
    ]

    operations = [
        migrations.RunPython(take_names, migrations.RunPython.noop),
    ]
