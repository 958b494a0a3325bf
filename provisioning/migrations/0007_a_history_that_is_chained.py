"""The database chains each new event to the one before, and lets nobody change what is written."""

from django.db import migrations, models

# The order's row is locked first: two transactions can't give the same place, and everything else locks it first as well.
CHAIN = """
CREATE FUNCTION provisioning_chain_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    order_number text;
    last record;
BEGIN
    SELECT number INTO STRICT order_number FROM subscriptions_order WHERE id = NEW.order_id FOR NO KEY UPDATE;
    SELECT events, hash INTO last FROM provisioning_historyhead WHERE order_id = NEW.order_id;
    NEW.position := coalesce(last.events, 0) + 1;
    NEW.previous := coalesce(last.hash, repeat('0', 64));
    NEW.who := coalesce((SELECT email FROM provisioning_user WHERE id = NEW.by_id), '');
    NEW.hash := provisioning_event_hash(order_number, NEW.position, NEW.previous, NEW.kind, NEW.at, NEW.who, NEW.facts);
    INSERT INTO provisioning_historyhead (order_id, events, hash) VALUES (NEW.order_id, NEW.position, NEW.hash)
    ON CONFLICT (order_id) DO UPDATE SET events = EXCLUDED.events, hash = EXCLUDED.hash;
    RETURN NEW;
END
$$;
CREATE TRIGGER event_gets_its_place BEFORE INSERT ON provisioning_event
    FOR EACH ROW EXECUTE FUNCTION provisioning_chain_event();
"""
UNCHAIN = """
DROP TRIGGER event_gets_its_place ON provisioning_event;
DROP FUNCTION provisioning_chain_event();
"""

# ALWAYS: also in a session that replays changes (session_replication_role = replica).
KEEP = """
CREATE FUNCTION provisioning_keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% refused: the history of an order is only ever added to', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER event_stays_as_it_is BEFORE UPDATE OR DELETE ON provisioning_event
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_history();
CREATE TRIGGER event_is_not_emptied BEFORE TRUNCATE ON provisioning_event
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_history();
CREATE TRIGGER head_follows_the_events BEFORE INSERT OR UPDATE OR DELETE ON provisioning_historyhead
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION provisioning_keep_history();
CREATE TRIGGER head_is_not_emptied BEFORE TRUNCATE ON provisioning_historyhead
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_history();
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_gets_its_place;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_stays_as_it_is;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_is_not_emptied;
ALTER TABLE provisioning_historyhead ENABLE ALWAYS TRIGGER head_follows_the_events;
ALTER TABLE provisioning_historyhead ENABLE ALWAYS TRIGGER head_is_not_emptied;
"""
LET_GO = """
DROP TRIGGER event_stays_as_it_is ON provisioning_event;
DROP TRIGGER event_is_not_emptied ON provisioning_event;
DROP TRIGGER head_follows_the_events ON provisioning_historyhead;
DROP TRIGGER head_is_not_emptied ON provisioning_historyhead;
DROP FUNCTION provisioning_keep_history();
"""


class Migration(migrations.Migration):

    dependencies = [('provisioning', '0006_chain_what_happened_before')]

    operations = [
        migrations.AlterModelOptions(name='event', options={'ordering': ['order_id', 'position']}),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.UniqueConstraint(fields=('order', 'position'), name='event_position_once_per_order'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('hash__regex', '^[0-9a-f]{64}$'), ('position__gte', 1), ('previous__regex', '^[0-9a-f]{64}$')), name='event_is_chained'),
        ),
        migrations.RunSQL(CHAIN, UNCHAIN),
        migrations.RunSQL(KEEP, LET_GO),
    ]
