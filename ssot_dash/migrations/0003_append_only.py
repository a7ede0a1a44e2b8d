from django.db import migrations

# TRUNCATE is left alone: only an owner of the table may do that, and tests do.
FORWARDS = """
CREATE FUNCTION ssot_dash_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log of who did what is only ever added to';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ssot_dash_activity
    FOR EACH ROW EXECUTE FUNCTION ssot_dash_append_only();
"""
BACKWARDS = """
DROP TRIGGER append_only ON ssot_dash_activity;
DROP FUNCTION ssot_dash_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("ssot_dash", "0002_people")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
