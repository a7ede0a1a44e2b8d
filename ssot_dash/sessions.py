"""Sessions in the database that know whose they are (``SESSION_ENGINE``). Ending one deletes its row."""

from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

from ssot_dash.addresses import client_address
from ssot_dash.models import UserSession

# What a session remembers of its beginning, until it is written to its row.
_ORIGIN = "origin"


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> Any:
        return UserSession

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        user_id, origin = data.get(SESSION_KEY), data.get(_ORIGIN, ("", "", None))
        row.user_id = int(user_id) if user_id else None
        row.address, row.browser = origin[0], origin[1]
        # Saving overwrites the row, so its beginning is carried along.
        row.began_at = datetime.fromisoformat(origin[2]) if origin[2] else timezone.now()
        return row


def began(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    """Note where a session begins (receiver of ``user_logged_in``), and clear away those that have run out."""
    if getattr(request, "session", None) is None:
        return
    browser = request.headers.get("User-Agent", "").replace("\0", "")[:200]
    request.session[_ORIGIN] = (client_address(request), browser, timezone.now().isoformat())
    UserSession.objects.filter(expire_date__lt=timezone.now()).delete()


def end_all(user: User, but: str | None = None) -> int:
    """Sign somebody out everywhere, except in the session ``but``. Answers how many sessions ended."""
    return UserSession.objects.filter(user=user).exclude(session_key=but or "").delete()[0]
