"""Roles of operators, and their log, which the database chains and keeps like the history of an order."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

CHAIN = """
CREATE FUNCTION provisioning_chain_operator_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    INSERT INTO provisioning_operatorsloghead (id, events, hash) VALUES (1, 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
    SELECT events, hash INTO STRICT last FROM provisioning_operatorsloghead WHERE id = 1 FOR UPDATE;
    NEW.position := last.events + 1;
    NEW.previous := last.hash;
    NEW.who := coalesce((SELECT email FROM provisioning_user WHERE id = NEW.by_id), '');
    NEW.scheme := 2;
    NEW.hash := provisioning_committed_hash(
        0, 'operators', NEW.position, NEW.previous, NEW.kind, NEW.at, NEW.who, NEW.facts
    );
    UPDATE provisioning_operatorsloghead SET events = NEW.position, hash = NEW.hash WHERE id = 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER operator_event_gets_its_place BEFORE INSERT ON provisioning_operatorevent
    FOR EACH ROW EXECUTE FUNCTION provisioning_chain_operator_event();
CREATE FUNCTION provisioning_keep_operators_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' AND TG_TABLE_NAME = 'provisioning_operatorevent' THEN
        IF (to_jsonb(NEW) - 'who' - 'facts') = (to_jsonb(OLD) - 'who' - 'facts')
            AND (NEW.who, NEW.facts) IS DISTINCT FROM (OLD.who, OLD.facts)
            AND provisioning_committed_text(0, NEW.who) = provisioning_committed_text(0, OLD.who)
            AND provisioning_committed(0, NEW.facts) = provisioning_committed(0, OLD.facts)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% refused: the operators'' log is only ever added to', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER operator_event_is_only_erased BEFORE UPDATE ON provisioning_operatorevent
    FOR EACH ROW EXECUTE FUNCTION provisioning_keep_operators_log();
CREATE TRIGGER operator_event_stays BEFORE DELETE ON provisioning_operatorevent
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_operators_log();
CREATE TRIGGER operator_event_is_not_emptied BEFORE TRUNCATE ON provisioning_operatorevent
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_operators_log();
CREATE TRIGGER operators_head_follows BEFORE INSERT OR UPDATE OR DELETE ON provisioning_operatorsloghead
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION provisioning_keep_operators_log();
CREATE TRIGGER operators_head_is_not_emptied BEFORE TRUNCATE ON provisioning_operatorsloghead
    FOR EACH STATEMENT EXECUTE FUNCTION provisioning_keep_operators_log();
ALTER TABLE provisioning_operatorevent ENABLE ALWAYS TRIGGER operator_event_gets_its_place;
ALTER TABLE provisioning_operatorevent ENABLE ALWAYS TRIGGER operator_event_is_only_erased;
ALTER TABLE provisioning_operatorevent ENABLE ALWAYS TRIGGER operator_event_stays;
ALTER TABLE provisioning_operatorevent ENABLE ALWAYS TRIGGER operator_event_is_not_emptied;
ALTER TABLE provisioning_operatorsloghead ENABLE ALWAYS TRIGGER operators_head_follows;
ALTER TABLE provisioning_operatorsloghead ENABLE ALWAYS TRIGGER operators_head_is_not_emptied;
"""
UNCHAIN = """
DROP TRIGGER operator_event_gets_its_place ON provisioning_operatorevent;
DROP TRIGGER operator_event_is_only_erased ON provisioning_operatorevent;
DROP TRIGGER operator_event_stays ON provisioning_operatorevent;
DROP TRIGGER operator_event_is_not_emptied ON provisioning_operatorevent;
DROP TRIGGER operators_head_follows ON provisioning_operatorsloghead;
DROP TRIGGER operators_head_is_not_emptied ON provisioning_operatorsloghead;
DROP FUNCTION provisioning_keep_operators_log();
DROP FUNCTION provisioning_chain_operator_event();
"""
# Whoever was an operator could do everything.
SUPERVISORS = "UPDATE provisioning_user SET is_superuser = true WHERE is_staff AND NOT is_superuser"


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0022_personal_values_are_committed")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="desk_role",
            field=models.CharField(blank=True, choices=[("viewer", "Viewer: sees everything, changes nothing"), ("desk", "Desk: does the daily work"), ("supervisor", "Supervisor: also confirms rights, manages operators and people's data")], db_default="", default="", max_length=10),
        ),
        migrations.RunSQL(SUPERVISORS, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="OperatorsLogHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("events", models.PositiveBigIntegerField()),
                ("hash", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="OperatorEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("facts", models.JSONField(blank=True, default=dict)),
                ("position", models.PositiveBigIntegerField(db_default=0, editable=False)),
                ("who", models.CharField(db_default="", editable=False, max_length=254)),
                ("previous", models.CharField(db_default="", editable=False, max_length=64)),
                ("hash", models.CharField(db_default="", editable=False, max_length=64)),
                ("scheme", models.PositiveSmallIntegerField(db_default=2, editable=False)),
                ("by", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(fields=("position",), name="operator_event_position_once"),
                    models.CheckConstraint(condition=models.Q(("hash__regex", "^[0-9a-f]{64}$"), ("position__gte", 1), ("previous__regex", "^[0-9a-f]{64}$")), name="operator_event_is_chained"),
                ],
            },
        ),
        migrations.RunSQL(CHAIN, UNCHAIN),
    ]
