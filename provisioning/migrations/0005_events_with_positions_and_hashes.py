"""Columns for the chain of an order's events, and the hash that chains them."""

import django.db.models.deletion
from django.db import migrations, models

# An event's hash is the SHA-256 of the text of one jsonb value: its keys by length and then by bytes, ", " and ": " between
# them, as PostgreSQL writes it. provisioning.chain writes the same text in Python.
HASH = """
CREATE FUNCTION provisioning_event_hash(
    "number" text, "position" integer, previous text, kind text, at timestamptz, who text, facts jsonb
) RETURNS text LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_object(
        'order', "number",
        'position', "position",
        'previous', previous,
        'kind', kind,
        'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'who', who,
        'facts', facts
    )::text, 'UTF8')), 'hex')
$$
"""
NO_HASH = 'DROP FUNCTION provisioning_event_hash(text, integer, text, text, timestamptz, text, jsonb)'


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0004_emails_in_words'),
        ('subscriptions', '0002_order_number_sequence'),
    ]

    operations = [
        migrations.AlterField(model_name='event', name='kind', field=models.CharField(max_length=40)),
        migrations.AddField(model_name='event', name='position', field=models.PositiveIntegerField(db_default=0, editable=False)),
        migrations.AddField(model_name='event', name='who', field=models.CharField(db_default='', editable=False, max_length=254)),
        migrations.AddField(model_name='event', name='previous', field=models.CharField(db_default='', editable=False, max_length=64)),
        migrations.AddField(model_name='event', name='hash', field=models.CharField(db_default='', editable=False, max_length=64)),
        migrations.CreateModel(
            name='HistoryHead',
            fields=[
                ('order', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='history_head', serialize=False, to='subscriptions.order')),
                ('events', models.PositiveIntegerField()),
                ('hash', models.CharField(max_length=64)),
            ],
        ),
        migrations.RunSQL(HASH, NO_HASH),
    ]
