import django.db.models.deletion
import django.db.models.functions.datetime
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import ids.models

# An ID carries its type's value, so the value is fixed from the first lease on, whoever writes the row.
FREEZE_VALUE = """
CREATE FUNCTION ids_freeze_type_value() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ids_idcounter WHERE type_id = OLD.id) THEN
        RAISE EXCEPTION 'The value of ID type "%" is fixed, because IDs of it were issued.', OLD.value
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER idtype_value_frozen BEFORE UPDATE ON ids_idtype
    FOR EACH ROW WHEN (OLD.value IS DISTINCT FROM NEW.value) EXECUTE FUNCTION ids_freeze_type_value();
"""
THAW_VALUE = """
DROP TRIGGER idtype_value_frozen ON ids_idtype;
DROP FUNCTION ids_freeze_type_value();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="IDType",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "value",
                    models.CharField(
                        error_messages={"unique": "There is an ID type with this value already."},
                        help_text="Stands in every ID. Lower-case letters, digits and single inner hyphens; it starts with a letter. It can't be changed once IDs were issued.",
                        max_length=32,
                        unique=True,
                        validators=[ids.models.validate_type_value],
                    ),
                ),
                (
                    "description",
                    models.CharField(
                        help_text="What one such ID identifies, in a sentence or two.", max_length=500
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("deprecated", "Deprecated"), ("retired", "Retired")],
                        default="active",
                        help_text="Active: IDs are issued. Deprecated: issued with a warning. Retired: refused. IDs that were issued stay valid in every state.",
                        max_length=10,
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("structured", "Structured")],
                        default="structured",
                        max_length=12,
                    ),
                ),
                (
                    "owner",
                    models.CharField(
                        blank=True, help_text="The team or person who answers for this type.", max_length=100
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "ID type",
                "ordering": ["value"],
            },
        ),
        migrations.CreateModel(
            name="IDTally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("issued", models.IntegerField()),
                ("released", models.IntegerField(db_default=0, default=0)),
                ("last_issued_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "ID tally",
            },
        ),
        migrations.CreateModel(
            name="IssuedID",
            fields=[
                (
                    "id",
                    models.CharField(max_length=126, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("counter", models.BigIntegerField()),
                ("prefix", models.CharField(blank=True, max_length=64)),
                ("context", models.JSONField(blank=True, default=dict)),
                ("issued_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("issued", "Issued"),
                            ("registered", "Registered"),
                            ("released", "Released"),
                        ],
                        default="issued",
                        max_length=10,
                    ),
                ),
            ],
            options={
                "verbose_name": "issued ID",
            },
        ),
        migrations.CreateModel(
            name="HistoricalIDType",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                (
                    "value",
                    models.CharField(
                        db_index=True,
                        error_messages={"unique": "There is an ID type with this value already."},
                        help_text="Stands in every ID. Lower-case letters, digits and single inner hyphens; it starts with a letter. It can't be changed once IDs were issued.",
                        max_length=32,
                        validators=[ids.models.validate_type_value],
                    ),
                ),
                (
                    "description",
                    models.CharField(
                        help_text="What one such ID identifies, in a sentence or two.", max_length=500
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("deprecated", "Deprecated"), ("retired", "Retired")],
                        default="active",
                        help_text="Active: IDs are issued. Deprecated: issued with a warning. Retired: refused. IDs that were issued stay valid in every state.",
                        max_length=10,
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("structured", "Structured")],
                        default="structured",
                        max_length=12,
                    ),
                ),
                (
                    "owner",
                    models.CharField(
                        blank=True, help_text="The team or person who answers for this type.", max_length=100
                    ),
                ),
                ("history_change_reason", models.TextField(null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical ID type",
                "verbose_name_plural": "historical ID types",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="IDCounter",
            fields=[
                (
                    "type",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="counter",
                        serialize=False,
                        to="ids.idtype",
                    ),
                ),
                ("next_counter", models.BigIntegerField(default=1)),
                ("issued", models.BigIntegerField(default=0)),
                ("released", models.BigIntegerField(default=0)),
                ("last_issued_at", models.DateTimeField(null=True)),
                ("leased_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "ID counter",
            },
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(("value__regex", "^[a-z][a-z0-9]*(-[a-z0-9]+)*$")),
                name="idtype_value_in_grammar",
                violation_error_message="The value is not in the grammar of type values.",
            ),
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "deprecated", "retired"])),
                name="idtype_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(("format__in", ["structured"])), name="idtype_format_known"
            ),
        ),
        migrations.AddField(
            model_name="idtally",
            name="type",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="tallies",
                to="ids.idtype",
            ),
        ),
        migrations.AddField(
            model_name="issuedid",
            name="type",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="issued_ids",
                to="ids.idtype",
            ),
        ),
        migrations.AddConstraint(
            model_name="idcounter",
            constraint=models.CheckConstraint(
                condition=models.Q(("next_counter__gte", 1)), name="idcounter_next_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="idcounter",
            constraint=models.CheckConstraint(
                condition=models.Q(("issued__gte", 0), ("released__gte", 0)),
                name="idcounter_figures_not_negative",
            ),
        ),
        migrations.AddIndex(
            model_name="issuedid",
            index=models.Index(
                models.F("type"),
                models.OrderBy(models.F("issued_at"), descending=True),
                name="issuedid_latest_of_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="issuedid",
            constraint=models.UniqueConstraint(fields=("type", "counter"), name="issuedid_type_counter_once"),
        ),
        migrations.AddConstraint(
            model_name="issuedid",
            constraint=models.CheckConstraint(
                condition=models.Q(("counter__gte", 1)), name="issuedid_counter_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="issuedid",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["issued", "registered", "released"])),
                name="issuedid_state_known",
            ),
        ),
        migrations.RunSQL(FREEZE_VALUE, THAW_VALUE),
    ]
