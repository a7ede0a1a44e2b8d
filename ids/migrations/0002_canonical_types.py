from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

CANONICAL_TYPES = {
    "user": "A person or service account that signs in and to whom work, data and permissions belong.",
    "session": "One signed-in period of a user, from sign-in to sign-out or expiry. It may span many requests.",
    "request": "One call that a service was asked to answer. Every log line and error caused by the call carries it.",
    "agent": "One running instance of an agent: it holds a goal and its own state, and it calls tools.",
    "tool": "One invocation of a tool by an agent, from the arguments that went in to the result that came out.",
    "transaction": "One unit of work that takes effect whole or not at all, such as a database transaction or a payment.",
    "websocket": "One WebSocket connection between a client and a server. A client that reconnects gets a new one.",
    "execution": "One attempt to carry out a piece of work. A retry is another execution of the same work.",
    "trace": "The path of one operation through all services it touches. It ties their spans and logs together.",
    "metric": "One named series of measurements, such as a counter, a gauge or a histogram.",
    "thread": "One conversation: an ordered list of messages in which runs take place.",
    "run": "One pass of an agent over a thread, from the message that started it to its last answer.",
}
REASON = "Seeded: one of the canonical ID types."


def seed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Adds the canonical types that are not there yet; a type that is there stays as its administrators left it."""
    id_type = apps.get_model("ids", "IDType")
    history = apps.get_model("ids", "HistoricalIDType")
    present = set(id_type.objects.values_list("value", flat=True))
    now = timezone.now()
    for value, description in CANONICAL_TYPES.items():
        if value in present:
            continue
        row = id_type.objects.create(value=value, description=description)
        history.objects.create(
            id=row.pk,
            value=value,
            description=description,
            status=row.status,
            format=row.format,
            owner=row.owner,
            history_date=now,
            history_type="+",
            history_change_reason=REASON,
        )


def unseed(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Takes the canonical types away again, except those of which a counter was leased: their IDs are in use."""
    rows = apps.get_model("ids", "IDType").objects.filter(value__in=CANONICAL_TYPES, counter__isnull=True)
    gone = list(rows.values_list("pk", flat=True))
    apps.get_model("ids", "HistoricalIDType").objects.filter(id__in=gone).delete()
    rows.filter(pk__in=gone).delete()


class Migration(migrations.Migration):
    dependencies = [("ids", "0001_schema")]

    operations = [migrations.RunPython(seed, unseed)]
