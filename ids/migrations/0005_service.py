import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ids", "0004_use_of_types"),
    ]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("caller", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=200)),
                ("digest", models.BinaryField(max_length=32)),
                ("answer", models.TextField(blank=True)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="IDLease",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("start", models.BigIntegerField()),
                ("size", models.IntegerField()),
                ("seed", models.BinaryField(max_length=16)),
                ("issuer", models.CharField(blank=True, max_length=100)),
                ("used", models.IntegerField(default=0)),
                ("leased_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("reported_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "ID lease",
            },
        ),
        migrations.CreateModel(
            name="UUIDAlias",
            fields=[
                ("uuid", models.UUIDField(primary_key=True, serialize=False)),
                ("identifier", models.CharField(max_length=126, unique=True)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "UUID alias",
                "verbose_name_plural": "UUID aliases",
            },
        ),
        migrations.AddField(
            model_name="issuedid",
            name="issuer",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
        migrations.AddField(
            model_name="issuedid",
            name="owner",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
        migrations.AddField(
            model_name="issuedid",
            name="parent",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="children",
                to="ids.issuedid",
            ),
        ),
        migrations.AddField(
            model_name="issuedid",
            name="released_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="idempotencykey",
            index=models.Index(models.F("made_at"), name="idempotencykey_made_at"),
        ),
        migrations.AddConstraint(
            model_name="idempotencykey",
            constraint=models.UniqueConstraint(fields=("caller", "key"), name="idempotencykey_once"),
        ),
        migrations.AddField(
            model_name="idlease",
            name="type",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="leases",
                to="ids.idtype",
            ),
        ),
        migrations.AddConstraint(
            model_name="idlease",
            constraint=models.UniqueConstraint(fields=("type", "start"), name="idlease_start_once"),
        ),
        migrations.AddConstraint(
            model_name="idlease",
            constraint=models.CheckConstraint(
                condition=models.Q(("start__gte", 1), ("used__gte", 0), ("used__lte", models.F("size"))),
                name="idlease_used_in_block",
            ),
        ),
    ]
