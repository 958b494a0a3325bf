"""Give the events that are there their places and hashes, in the order in which they were written."""

from django.db import migrations

CHAIN = """
DO $$
DECLARE
    event record;
    of_order bigint := 0;
    last_position integer;
    last_hash text;
BEGIN
    FOR event IN
        SELECT e.id, e.order_id, o.number, e.kind, e.at, coalesce(u.email, '') AS who, e.facts
        FROM provisioning_event e
        JOIN subscriptions_order o ON o.id = e.order_id
        LEFT JOIN provisioning_user u ON u.id = e.by_id
        ORDER BY e.order_id, e.id
    LOOP
        IF event.order_id <> of_order THEN
            of_order := event.order_id;
            last_position := 0;
            last_hash := repeat('0', 64);
        END IF;
        last_position := last_position + 1;
        UPDATE provisioning_event
        SET position = last_position, who = event.who, previous = last_hash,
            hash = provisioning_event_hash(event.number, last_position, last_hash, event.kind, event.at, event.who, event.facts)
        WHERE id = event.id
        RETURNING hash INTO last_hash;
        INSERT INTO provisioning_historyhead (order_id, events, hash)
        VALUES (of_order, last_position, last_hash)
        ON CONFLICT (order_id) DO UPDATE SET events = EXCLUDED.events, hash = EXCLUDED.hash;
    END LOOP;
END
$$
"""
UNCHAIN = """
DELETE FROM provisioning_historyhead;
UPDATE provisioning_event SET position = 0, who = '', previous = '', hash = '';
"""


class Migration(migrations.Migration):

    dependencies = [('provisioning', '0005_events_with_positions_and_hashes')]

    operations = [migrations.RunSQL(CHAIN, UNCHAIN)]
