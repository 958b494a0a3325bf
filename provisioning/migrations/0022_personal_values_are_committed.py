"""Hash a token in the place of each email address of an event, so that an address can be erased and the chain stays.

Events that are there keep their hashes, which are over the addresses (scheme 1). provisioning.history.commitments
computes the same tokens in Python.
"""

from importlib import import_module

from django.db import migrations, models

# The characters that end an address, as in provisioning.history.commitments.
ENDS = r' \t\n\r"<>(),;:=\[\]{}|\\@'
COMMITTED = rf"""
CREATE FUNCTION provisioning_person_token(of_chain bigint, written text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    owner text := translate(written, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz');
    secret text;
BEGIN
    SELECT key INTO secret FROM provisioning_personkey WHERE chain = of_chain AND address = owner;
    IF NOT FOUND THEN
        secret := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
        INSERT INTO provisioning_personkey (chain, address, key) VALUES (of_chain, owner, secret);
    END IF;
    RETURN 'person-' || left(encode(sha256(convert_to(secret || ' ' || written, 'UTF8')), 'hex'), 40);
END
$$;
CREATE FUNCTION provisioning_committed_text(of_chain bigint, written text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    done text := '';
    rest text := written;
    found text;
BEGIN
    LOOP
        found := substring(rest FROM '[^{ENDS}''][^{ENDS}]*@[^{ENDS}]*[^{ENDS}''.!?-]');
        EXIT WHEN found IS NULL;
        done := done || left(rest, position(found IN rest) - 1) || provisioning_person_token(of_chain, found);
        rest := substr(rest, position(found IN rest) + length(found));
    END LOOP;
    RETURN done || rest;
END
$$;
CREATE FUNCTION provisioning_committed(of_chain bigint, written jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF position('@' IN written::text) = 0 THEN
        RETURN written;
    END IF;
    CASE jsonb_typeof(written)
        WHEN 'string' THEN
            RETURN to_jsonb(provisioning_committed_text(of_chain, written #>> '{{}}'));
        WHEN 'object' THEN
            RETURN (SELECT jsonb_object_agg(key, provisioning_committed(of_chain, value)) FROM jsonb_each(written));
        WHEN 'array' THEN
            RETURN (
                SELECT jsonb_agg(provisioning_committed(of_chain, value) ORDER BY place)
                FROM jsonb_array_elements(written) WITH ORDINALITY AS part (value, place)
            );
        ELSE
            RETURN written;
    END CASE;
END
$$;
CREATE FUNCTION provisioning_committed_hash(
    of_chain bigint, "number" text, "position" bigint, previous text, kind text, at timestamptz, who text, facts jsonb
) RETURNS text LANGUAGE sql STRICT AS $$
    SELECT encode(sha256(convert_to(jsonb_build_object(
        'order', "number",
        'position', "position",
        'previous', previous,
        'kind', kind,
        'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'who', provisioning_committed_text(of_chain, who),
        'facts', provisioning_committed(of_chain, facts),
        'scheme', 2
    )::text, 'UTF8')), 'hex')
$$;
"""
NOT_COMMITTED = """
DROP FUNCTION provisioning_committed_hash(bigint, text, bigint, text, text, timestamptz, text, jsonb);
DROP FUNCTION provisioning_committed(bigint, jsonb);
DROP FUNCTION provisioning_committed_text(bigint, text);
DROP FUNCTION provisioning_person_token(bigint, text);
"""

CHAIN = """
CREATE OR REPLACE FUNCTION provisioning_chain_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    order_number text;
    last record;
BEGIN
    SELECT number INTO STRICT order_number FROM subscriptions_order WHERE id = NEW.order_id FOR NO KEY UPDATE;
    SELECT events, hash INTO last FROM provisioning_historyhead WHERE order_id = NEW.order_id;
    NEW.position := coalesce(last.events, 0) + 1;
    NEW.previous := coalesce(last.hash, repeat('0', 64));
    NEW.who := coalesce((SELECT email FROM provisioning_user WHERE id = NEW.by_id), '');
    NEW.scheme := 2;
    NEW.hash := provisioning_committed_hash(
        NEW.order_id, order_number, NEW.position, NEW.previous, NEW.kind, NEW.at, NEW.who, NEW.facts
    );
    INSERT INTO provisioning_historyhead (order_id, events, hash) VALUES (NEW.order_id, NEW.position, NEW.hash)
    ON CONFLICT (order_id) DO UPDATE SET events = EXCLUDED.events, hash = EXCLUDED.hash;
    RETURN NEW;
END
$$;
"""
# What the function was before, and the hashes that an earlier release can check.
UNCHAIN = (
    import_module("provisioning.migrations.0007_a_history_that_is_chained")
    .CHAIN.partition("CREATE TRIGGER")[0]
    .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    + """
ALTER TABLE provisioning_event DISABLE TRIGGER USER;
ALTER TABLE provisioning_historyhead DISABLE TRIGGER USER;
"""
    + import_module("provisioning.migrations.0006_chain_what_happened_before").CHAIN
    + """;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_gets_its_place;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_stays_as_it_is;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_is_not_emptied;
ALTER TABLE provisioning_historyhead ENABLE ALWAYS TRIGGER head_follows_the_events;
ALTER TABLE provisioning_historyhead ENABLE ALWAYS TRIGGER head_is_not_emptied;
"""
)

# The one change that is accepted: addresses become their tokens, so that the hash of the content is what it was. Of an
# event from before (scheme 1) the content without addresses is compared, and a later event vouches for its hash.
KEEP = """
DROP TRIGGER event_stays_as_it_is ON provisioning_event;
CREATE TRIGGER event_stays_as_it_is BEFORE DELETE ON provisioning_event
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_history();
CREATE FUNCTION provisioning_erase_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ((NEW.id, NEW.order_id, NEW.kind, NEW.at, NEW.by_id, NEW.position, NEW.previous, NEW.hash)
            IS NOT DISTINCT FROM
            (OLD.id, OLD.order_id, OLD.kind, OLD.at, OLD.by_id, OLD.position, OLD.previous, OLD.hash))
        AND (NEW.who, NEW.facts) IS DISTINCT FROM (OLD.who, OLD.facts)
        AND NEW.scheme = (CASE OLD.scheme WHEN 1 THEN 3 ELSE OLD.scheme END)
        AND provisioning_committed_text(NEW.order_id, NEW.who) = provisioning_committed_text(OLD.order_id, OLD.who)
        AND provisioning_committed(NEW.order_id, NEW.facts) = provisioning_committed(OLD.order_id, OLD.facts)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% refused: the history of an order is only ever added to', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER event_is_only_erased BEFORE UPDATE ON provisioning_event
    FOR EACH ROW EXECUTE FUNCTION provisioning_erase_only();
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_stays_as_it_is;
ALTER TABLE provisioning_event ENABLE ALWAYS TRIGGER event_is_only_erased;
"""
LET_GO = """
DROP TRIGGER event_is_only_erased ON provisioning_event;
DROP FUNCTION provisioning_erase_only();
DROP TRIGGER event_stays_as_it_is ON provisioning_event;
CREATE TRIGGER event_stays_as_it_is BEFORE UPDATE OR DELETE ON provisioning_event
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_history();
"""


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0021_emails_are_leased")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="scheme",
            field=models.PositiveSmallIntegerField(db_default=1, editable=False),
        ),
        migrations.CreateModel(
            name="PersonKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain", models.BigIntegerField()),
                ("address", models.TextField()),
                ("key", models.CharField(max_length=64)),
            ],
            options={
                "indexes": [models.Index(fields=["address"], name="person_key_address")],
                "constraints": [
                    models.UniqueConstraint(fields=("chain", "address"), name="person_key_once_in_a_chain")
                ],
            },
        ),
        migrations.RunSQL(COMMITTED, NOT_COMMITTED),
        migrations.RunSQL(CHAIN, UNCHAIN),
        migrations.RunSQL(KEEP, LET_GO),
    ]
