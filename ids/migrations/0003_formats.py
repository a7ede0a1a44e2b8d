import django.core.validators
import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import ids.models.legacy


class Migration(migrations.Migration):
    dependencies = [
        ("ids", "0002_canonical_types"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="HistoricalLegacyFormat",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                (
                    "name",
                    models.CharField(
                        db_index=True,
                        error_messages={"unique": "There is a legacy format with this name already."},
                        help_text="What people call these IDs, for example: the run IDs of 2024.",
                        max_length=100,
                    ),
                ),
                (
                    "pattern",
                    models.CharField(
                        help_text="A regular expression of RE2 that matches the whole ID. Named groups become the parts that the explorer shows: run-(?P<random>[0-9a-f]{12}).",
                        max_length=500,
                        validators=[ids.models.legacy.validate_pattern],
                    ),
                ),
                (
                    "example",
                    models.CharField(help_text="One such ID. The pattern has to match it.", max_length=300),
                ),
                ("sunset", models.DateField(help_text="The last day (UTC) on which such IDs are accepted.")),
                (
                    "note",
                    models.CharField(
                        blank=True,
                        help_text="Where such IDs come from, and who still sends them.",
                        max_length=500,
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
            ],
            options={
                "verbose_name": "historical legacy format",
                "verbose_name_plural": "historical legacy formats",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="LegacyFormat",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        error_messages={"unique": "There is a legacy format with this name already."},
                        help_text="What people call these IDs, for example: the run IDs of 2024.",
                        max_length=100,
                        unique=True,
                    ),
                ),
                (
                    "pattern",
                    models.CharField(
                        help_text="A regular expression of RE2 that matches the whole ID. Named groups become the parts that the explorer shows: run-(?P<random>[0-9a-f]{12}).",
                        max_length=500,
                        validators=[ids.models.legacy.validate_pattern],
                    ),
                ),
                (
                    "example",
                    models.CharField(help_text="One such ID. The pattern has to match it.", max_length=300),
                ),
                ("sunset", models.DateField(help_text="The last day (UTC) on which such IDs are accepted.")),
                (
                    "note",
                    models.CharField(
                        blank=True,
                        help_text="Where such IDs come from, and who still sends them.",
                        max_length=500,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["sunset", "name"],
            },
        ),
        migrations.CreateModel(
            name="LegacyHits",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("accepted", models.BigIntegerField(default=0)),
                ("refused", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "legacy hits",
            },
        ),
        migrations.RemoveConstraint(
            model_name="idtype",
            name="idtype_format_known",
        ),
        migrations.AddField(
            model_name="historicalidtype",
            name="is_tracked",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Each issued ID is recorded: it can be looked up, listed and released. Not tracked: IDs are as unique, and only counted.",
                verbose_name="tracked",
            ),
        ),
        migrations.AddField(
            model_name="historicalidtype",
            name="retention_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Days for which the record of an ID is kept after it was issued. Empty: for ever.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(36500),
                ],
                verbose_name="retention",
            ),
        ),
        migrations.AddField(
            model_name="idtype",
            name="is_tracked",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Each issued ID is recorded: it can be looked up, listed and released. Not tracked: IDs are as unique, and only counted.",
                verbose_name="tracked",
            ),
        ),
        migrations.AddField(
            model_name="idtype",
            name="retention_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Days for which the record of an ID is kept after it was issued. Empty: for ever.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(36500),
                ],
                verbose_name="retention",
            ),
        ),
        migrations.AlterField(
            model_name="historicalidtype",
            name="format",
            field=models.CharField(
                choices=[
                    ("structured", "Structured"),
                    ("typeid", "TypeID"),
                    ("ulid", "ULID"),
                    ("uuid7", "UUIDv7"),
                    ("uuid4", "UUIDv4"),
                ],
                default="structured",
                help_text="How new IDs read. ULID and UUID say nothing of the type: only the registry knows it.",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="idtype",
            name="format",
            field=models.CharField(
                choices=[
                    ("structured", "Structured"),
                    ("typeid", "TypeID"),
                    ("ulid", "ULID"),
                    ("uuid7", "UUIDv7"),
                    ("uuid4", "UUIDv4"),
                ],
                default="structured",
                help_text="How new IDs read. ULID and UUID say nothing of the type: only the registry knows it.",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="issuedid",
            name="counter",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(("format__in", ["structured", "typeid", "ulid", "uuid7", "uuid4"])),
                name="idtype_format_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("format", "typeid"), _negated=True),
                    ("value__regex", "^[a-z]+(-[a-z]+)*$"),
                    _connector="OR",
                ),
                name="idtype_value_in_format",
                violation_error_message="A TypeID's type has letters and hyphens only.",
            ),
        ),
        migrations.AddConstraint(
            model_name="idtype",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("retention_days__isnull", True),
                    models.Q(("retention_days__gte", 1), ("retention_days__lte", 36500)),
                    _connector="OR",
                ),
                name="idtype_retention_in_range",
            ),
        ),
        migrations.AddField(
            model_name="historicallegacyformat",
            name="history_user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="historicallegacyformat",
            name="type",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="ids.idtype",
                verbose_name="ID type",
            ),
        ),
        migrations.AddField(
            model_name="legacyformat",
            name="type",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="legacy_formats",
                to="ids.idtype",
                verbose_name="ID type",
            ),
        ),
        migrations.AddField(
            model_name="legacyhits",
            name="format",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="days",
                to="ids.legacyformat",
            ),
        ),
        migrations.AddIndex(
            model_name="legacyhits",
            index=models.Index(models.F("format"), models.F("day"), name="legacyhits_of_day"),
        ),
        migrations.AddConstraint(
            model_name="legacyhits",
            constraint=models.CheckConstraint(
                condition=models.Q(("accepted__gte", 0), ("refused__gte", 0)), name="legacyhits_not_negative"
            ),
        ),
    ]
