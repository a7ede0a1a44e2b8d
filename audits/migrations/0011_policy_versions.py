import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from audits.engine.policy import PolicyError, parse_policy


def keep_as_versions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The policy that a repository has becomes its first version; nobody knows who wrote it, and when."""
    Repository = apps.get_model("audits", "Repository")
    PolicyVersion = apps.get_model("audits", "PolicyVersion")
    for repository in Repository.objects.exclude(policy_text=""):
        try:
            digest = parse_policy(repository.policy_text).digest
        except PolicyError:
            digest = ""  # its audits fail and say why, as before
        repository.policy = PolicyVersion.objects.create(
            repository=repository,
            number=1,
            source="site",
            text=repository.policy_text,
            digest=digest,
            reason="From before versions were kept",
        )
        repository.save(update_fields=["policy"])


def keep_the_last(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Repository = apps.get_model("audits", "Repository")
    for repository in Repository.objects.exclude(policy=None).select_related("policy"):
        repository.policy_text = repository.policy.text
        repository.save(update_fields=["policy_text"])


class Migration(migrations.Migration):
    dependencies = [
        ("audits", "0010_duplicate_report"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PolicyVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "source",
                    models.CharField(
                        choices=[("site", "Kept here"), ("tree", "From .ssot.toml of each audited commit")],
                        default="site",
                        max_length=10,
                    ),
                ),
                ("text", models.TextField(blank=True)),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("reason", models.CharField(blank=True, max_length=300)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="policy_versions",
                        to="audits.repository",
                    ),
                ),
            ],
            options={"ordering": ["-number"]},
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.UniqueConstraint(fields=("repository", "number"), name="one_policy_per_number"),
        ),
        migrations.RenameField(model_name="repository", old_name="policy", new_name="policy_text"),
        migrations.AddField(
            model_name="repository",
            name="policy",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="audits.policyversion",
            ),
        ),
        migrations.RunPython(keep_as_versions, keep_the_last),
    ]
