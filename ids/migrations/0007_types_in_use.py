from django.db import migrations

# A type is in use once its counter row is there, and as long as anything is kept of its IDs: those of a format without
# a counter, and registered ones, may come before the row.
IN_USE = """
CREATE FUNCTION ids_type_in_use(wanted bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM ids_idcounter WHERE type_id = wanted)
        OR EXISTS (SELECT FROM ids_idtally WHERE type_id = wanted)
        OR EXISTS (SELECT FROM ids_issuedid WHERE type_id = wanted)
$$;
CREATE OR REPLACE FUNCTION ids_freeze_type_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ids_type_in_use(OLD.id) THEN
        RAISE EXCEPTION 'The value of ID type "%" is fixed, because IDs of it were issued.', OLD.value
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION ids_keep_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ids_type_in_use(OLD.id) THEN
        RAISE EXCEPTION 'The ID type "%" stays, because IDs of it were issued.', OLD.value
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER idtype_in_use_kept BEFORE DELETE ON ids_idtype FOR EACH ROW EXECUTE FUNCTION ids_keep_type();
"""
AS_BEFORE = """
DROP TRIGGER idtype_in_use_kept ON ids_idtype;
DROP FUNCTION ids_keep_type();
CREATE OR REPLACE FUNCTION ids_freeze_type_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ids_idcounter WHERE type_id = OLD.id) THEN
        RAISE EXCEPTION 'The value of ID type "%" is fixed, because IDs of it were issued.', OLD.value
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
DROP FUNCTION ids_type_in_use(bigint);
"""


class Migration(migrations.Migration):
    dependencies = [("ids", "0006_service_indexes")]

    operations = [migrations.RunSQL(IN_USE, AS_BEFORE)]
