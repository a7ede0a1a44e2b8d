from typing import Any

from django.db import migrations, models
from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Concat


def give_names_of_their_own(apps: Any, editor: Any) -> None:
    """An older version knows nothing of removed repositories and lets no two have one name: it shows what is left."""
    marked = Concat(Value("removed-"), Cast(F("pk"), CharField()))
    rows = apps.get_model("audits", "Repository")._base_manager
    removed = rows.exclude(removed_at=None)
    removed.update(name=marked, slug=marked)


class Migration(migrations.Migration):
    dependencies = [("audits", "0023_judging_in_turns")]

    operations = [
        migrations.AddField(
            model_name="repository",
            name="removed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="repository",
            name="removing_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(model_name="repository", name="name", field=models.CharField(max_length=100)),
        migrations.AlterField(model_name="repository", name="slug", field=models.SlugField(max_length=100)),
        migrations.AddConstraint(
            model_name="repository",
            constraint=models.UniqueConstraint(
                condition=Q(removed_at=None), fields=("name",), name="one_repository_per_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="repository",
            constraint=models.UniqueConstraint(
                condition=Q(removed_at=None), fields=("slug",), name="one_repository_per_slug"
            ),
        ),
        migrations.AlterField(
            model_name="repository",
            name="score",
            field=models.JSONField(blank=True, default=dict, help_text="See audits.scoring."),
        ),
        migrations.RunPython(migrations.RunPython.noop, give_names_of_their_own),
    ]
