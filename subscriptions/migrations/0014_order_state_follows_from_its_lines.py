from django.db import migrations, models

# The database has the last word on what an order's state says of its lines. It looks when a transaction ends.
_FUNCTION = """
    CREATE FUNCTION subscriptions_order_follows_lines() RETURNS trigger LANGUAGE plpgsql AS $$
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
                SELECT FROM subscriptions_orderline l WHERE l.order_id = which AND NOT EXISTS (
                    SELECT FROM subscriptions_provisioningrequest r
                    WHERE r.line_id = l.id AND r.superseded_at IS NULL AND r.state = 'succeeded'))
            WHEN it.state = 'setting_up' THEN
                NOT EXISTS (
                    SELECT FROM subscriptions_provisioningrequest r
                    WHERE r.order_id = which AND r.superseded_at IS NULL AND r.state <> 'cancelled')
                OR NOT EXISTS (
                    SELECT FROM subscriptions_orderline l WHERE l.order_id = which AND NOT EXISTS (
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
    CREATE CONSTRAINT TRIGGER order_state_follows_from_its_lines
        AFTER INSERT OR UPDATE OF state ON subscriptions_order DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.state <> 'placed') EXECUTE FUNCTION subscriptions_order_follows_lines();
    CREATE CONSTRAINT TRIGGER order_state_follows_from_its_requests
        AFTER INSERT OR UPDATE OF state, superseded_at ON subscriptions_provisioningrequest
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION subscriptions_order_follows_lines();
    CREATE CONSTRAINT TRIGGER order_state_follows_from_all_lines
        AFTER INSERT ON subscriptions_orderline DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION subscriptions_order_follows_lines();

    CREATE FUNCTION subscriptions_request_stays_over() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a request that is % does not become %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'provisioning_request_stays_over';
    END $$;
    CREATE TRIGGER provisioning_request_stays_over BEFORE UPDATE OF state ON subscriptions_provisioningrequest
        FOR EACH ROW WHEN (OLD.state = 'cancelled' AND NEW.state <> 'cancelled'
            OR OLD.state = 'succeeded' AND NEW.state NOT IN ('succeeded', 'cancelled'))
        EXECUTE FUNCTION subscriptions_request_stays_over();

    DROP TRIGGER set_up_order_has_only_lines_that_are_set_up ON subscriptions_order;
    DROP FUNCTION subscriptions_order_is_set_up();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0013_provisioning_request_names"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="abandonedinstance", name="abandoned_instance_deleted_is_over"),
        migrations.AddConstraint(
            model_name="abandonedinstance",
            constraint=models.CheckConstraint(
                condition=models.Q(("deleted_at__isnull", False), ("next_try_at__isnull", False), _connector="OR"),
                name="abandoned_instance_is_tried_until_deleted",
            ),
        ),
        migrations.RunSQL(_FUNCTION),
    ]
