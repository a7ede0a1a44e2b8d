from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audits", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="auditproblem",
            name="rule",
            field=models.CharField(blank=True, default="", help_text="the rule that failed", max_length=60),
            preserve_default=False,
        ),
        # Until now only the words told which rule it was.
        migrations.RunSQL(
            r"UPDATE audits_auditproblem SET rule = coalesce(substring(message from '^the rule (\S{1,60}) failed'), '')"
            " WHERE kind = 'rule-failed'",
            migrations.RunSQL.noop,
        ),
    ]
