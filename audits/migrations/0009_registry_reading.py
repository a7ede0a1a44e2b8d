import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audits", "0008_push_hooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="RegistryReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "enums",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                (
                    "audit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="audits.audit"
                    ),
                ),
                (
                    "repository",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="registry_reading",
                        to="audits.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="MemberUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("value", models.CharField(max_length=100)),
                ("enum", models.TextField()),
                ("member", models.TextField()),
                ("path", models.TextField()),
                ("line", models.PositiveIntegerField()),
                ("scope", models.TextField(blank=True)),
                ("zone", models.CharField(max_length=10)),
                ("is_definition", models.BooleanField(default=False)),
                (
                    "reading",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uses",
                        to="audits.registryreading",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["reading", "value"], name="memberuse_of_type")],
            },
        ),
    ]
