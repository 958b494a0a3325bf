"""Webhooks become messages and deliveries: several endpoints may receive one message.

Existing webhooks keep their ids, and go on to the endpoint of WEBHOOK_URL.
"""

import django.db.models.deletion
import django.utils.timezone
import uuid_utils.compat
from django.db import migrations, models

_COPY = """
INSERT INTO provisioning_webhookendpoint (public_id, name, url, types, environment, secret, previous_secret, enabled,
    gone_at, created_at, made_by)
SELECT gen_random_uuid(), 'WEBHOOK_URL', coalesce(off.url, ''), '[]'::jsonb, true, '', '', true, off.off_at, now(), ''
FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT url, off_at FROM provisioning_webhookreceiver ORDER BY off_at DESC LIMIT 1) off ON true
WHERE EXISTS (SELECT FROM provisioning_webhook) OR off.url IS NOT NULL;

INSERT INTO provisioning_webhookmessage (id, public_id, order_id, type, body, created_at, position)
SELECT id, public_id, order_id, type, body, created_at, row_number() OVER (ORDER BY id) FROM provisioning_webhook;

SELECT setval(pg_get_serial_sequence('provisioning_webhookmessage', 'id'), max(id)) FROM provisioning_webhook
HAVING max(id) IS NOT NULL;

UPDATE provisioning_webhook SET message_id = id,
    endpoint_id = (SELECT id FROM provisioning_webhookendpoint WHERE environment);

SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("provisioning", "0016_api_networks_and_answers"),
        ("subscriptions", "0014_order_state_follows_from_its_lines"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, unique=True, verbose_name="id"
                    ),
                ),
                ("type", models.CharField(max_length=40, verbose_name="event")),
                ("body", models.TextField(verbose_name="message")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="asked for at")),
                ("position", models.BigIntegerField(editable=False, null=True, unique=True)),
                (
                    "order",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="webhook_messages",
                        to="subscriptions.order",
                        verbose_name="order",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook message",
                "verbose_name_plural": "webhook messages",
                "indexes": [
                    models.Index(
                        condition=models.Q(("order__isnull", False), ("position", None)),
                        fields=["id"],
                        name="webhook_message_without_place",
                    ),
                    models.Index(fields=["order", "position"], name="webhook_message_of_order"),
                    models.Index(fields=["created_at"], name="webhook_message_created"),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, unique=True, verbose_name="id"
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=80, verbose_name="name")),
                ("url", models.TextField(verbose_name="address")),
                ("types", models.JSONField(default=list, verbose_name="events")),
                ("environment", models.BooleanField(default=False, editable=False)),
                ("secret", models.TextField(blank=True, editable=False)),
                ("previous_secret", models.TextField(blank=True, editable=False)),
                (
                    "previous_until",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="earlier secret signs until"
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="on")),
                (
                    "gone_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="answered 410 at"),
                ),
                ("slow_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="made at"
                    ),
                ),
                ("made_by", models.CharField(blank=True, editable=False, max_length=254, verbose_name="made by")),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "webhook endpoint",
                "verbose_name_plural": "webhook endpoints",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("environment", True)),
                        fields=("environment",),
                        name="webhook_endpoint_of_environment_once",
                    )
                ],
            },
        ),
        migrations.RemoveIndex(model_name="webhook", name="webhook_open"),
        migrations.AddField(
            model_name="webhook",
            name="message",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="provisioning.webhookmessage",
                verbose_name="message",
            ),
        ),
        migrations.AddField(
            model_name="webhook",
            name="endpoint",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="provisioning.webhookendpoint",
                verbose_name="webhook endpoint",
            ),
        ),
        migrations.RunSQL(_COPY, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="webhook",
            name="message",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="provisioning.webhookmessage",
                verbose_name="message",
            ),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="endpoint",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="provisioning.webhookendpoint",
                verbose_name="webhook endpoint",
            ),
        ),
        migrations.AlterField(
            model_name="webhook",
            name="order",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="webhooks",
                to="subscriptions.order",
                verbose_name="order",
            ),
        ),
        migrations.RemoveField(model_name="webhook", name="body"),
        migrations.RemoveField(model_name="webhook", name="public_id"),
        migrations.RemoveField(model_name="webhook", name="type"),
        migrations.AddField(
            model_name="webhook",
            name="tried_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="last try at"),
        ),
        migrations.AddField(
            model_name="webhook",
            name="answer_status",
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="status"),
        ),
        migrations.AddField(
            model_name="webhook",
            name="answer",
            field=models.TextField(blank=True, default="", verbose_name="answer"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="webhook",
            name="milliseconds",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(
                condition=models.Q(("accepted_at", None), ("skipped_at", None)),
                fields=["order", "endpoint", "message"],
                name="webhook_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.UniqueConstraint(fields=("endpoint", "message"), name="webhook_once_per_endpoint"),
        ),
        migrations.DeleteModel(name="WebhookReceiver"),
    ]
