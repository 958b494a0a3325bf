import django.contrib.postgres.constraints
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

# A line's number is its position, as the lines were written when the order was placed.
_NUMBERS = """
    UPDATE subscriptions_orderline l SET number = n.position
    FROM (SELECT id, row_number() OVER (PARTITION BY order_id ORDER BY id) AS position FROM subscriptions_orderline) n
    WHERE n.id = l.id;
"""
_ORDERS = """
    UPDATE subscriptions_site t SET order_id = l.order_id
    FROM subscriptions_subscription s JOIN subscriptions_orderline l ON l.id = s.line_id WHERE s.id = t.subscription_id;
    UPDATE subscriptions_location t SET order_id = l.order_id
    FROM subscriptions_subscription s JOIN subscriptions_orderline l ON l.id = s.line_id WHERE s.id = t.subscription_id;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
"""

# As in 0014, for the lines that are not removed.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION subscriptions_order_follows_lines() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        which bigint;
        it record;
        wrong boolean;
    BEGIN
        IF TG_TABLE_NAME = 'subscriptions_order' THEN which := NEW.id; ELSE which := NEW.order_id; END IF;
        SELECT o.number, o.state INTO it FROM subscriptions_order o WHERE o.id = which;
        IF NOT FOUND THEN RETURN NULL; END IF;
        wrong := CASE
            WHEN it.state = 'set_up' THEN EXISTS (
                SELECT FROM subscriptions_orderline l
                WHERE l.order_id = which AND l.removed_at IS NULL AND NOT EXISTS (
                    SELECT FROM subscriptions_provisioningrequest r
                    WHERE r.line_id = l.id AND r.superseded_at IS NULL AND r.state = 'succeeded'))
            WHEN it.state = 'setting_up' THEN
                NOT EXISTS (
                    SELECT FROM subscriptions_provisioningrequest r
                    WHERE r.order_id = which AND r.superseded_at IS NULL AND r.state <> 'cancelled')
                OR NOT EXISTS (
                    SELECT FROM subscriptions_orderline l
                    WHERE l.order_id = which AND l.removed_at IS NULL AND NOT EXISTS (
                        SELECT FROM subscriptions_provisioningrequest r
                        WHERE r.line_id = l.id AND r.superseded_at IS NULL AND r.state = 'succeeded'))
            ELSE EXISTS (
                SELECT FROM subscriptions_provisioningrequest r
                WHERE r.order_id = which AND r.superseded_at IS NULL AND r.state <> 'cancelled')
        END;
        IF wrong THEN
            RAISE EXCEPTION 'order % is %, which does not follow from its lines', it.number, it.state
                USING ERRCODE = 'check_violation', CONSTRAINT = 'order_state_follows_from_its_lines';
        END IF;
        RETURN NULL;
    END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0014_order_state_follows_from_its_lines"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="orderline", name="order_line_once_per_service"),
        migrations.AlterModelOptions(name="orderline", options={"ordering": ["number"]}),
        migrations.AlterField(
            model_name="orderline", name="service", field=models.CharField(max_length=40)
        ),
        migrations.AddField(
            model_name="orderline",
            name="removed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="orderline", name="number", field=models.PositiveIntegerField(null=True)
        ),
        migrations.RunSQL(_NUMBERS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="orderline",
            name="number",
            field=models.PositiveIntegerField(
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(999999999),
                ]
            ),
        ),
        migrations.AddConstraint(
            model_name="orderline",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at", None)), fields=("order", "number"), name="order_line_number_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="orderline",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="order_line_number_is_positive"
            ),
        ),
        migrations.AddField(
            model_name="site",
            name="order",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="subscriptions.order"
            ),
        ),
        migrations.AddField(
            model_name="location",
            name="order",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="subscriptions.order"
            ),
        ),
        migrations.RunSQL(_ORDERS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="site",
            name="order",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="subscriptions.order"
            ),
        ),
        migrations.AlterField(
            model_name="location",
            name="order",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="subscriptions.order"
            ),
        ),
        migrations.AlterField(model_name="site", name="name", field=models.CharField(max_length=63)),
        migrations.AddIndex(model_name="site", index=models.Index(fields=["name"], name="site_of_name")),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.UniqueConstraint(
                fields=("subscription", "name"), name="site_once_in_its_subscription"
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[("name", "="), ("order", "<>")], name="site_name_of_one_order"
            ),
        ),
        migrations.RemoveConstraint(model_name="location", name="location_name_once_in_its_organization"),
        migrations.AddConstraint(
            model_name="location",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.text.Lower("name"), "="),
                    ("organization", "="),
                    ("order", "<>"),
                ],
                name="location_name_of_one_order_in_its_organization",
            ),
        ),
        migrations.RunSQL(_FUNCTION, migrations.RunSQL.noop),
    ]
