"""The names of the ID manager that this one replaces, on top of the service or of a client.

A code base moves by changing one import::

    from ids.compat import IDType, get_id_manager

``docs/ids-compat.md`` says where the behaviour differs on purpose. In a process of the site the service is used
directly; anywhere else ``configure(HttpBackend(url, token))`` comes first, with ``ids/compat.py`` and ``ids/client.py``
of a checkout on the path.
"""

import functools
import threading
import uuid
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any, NamedTuple, Protocol

from ids import client, conversion, lookups, minting, validation
from ids.models import IDType as TypeRow


class ParsedRunID(NamedTuple):
    """What is known of a run: its own ID, and the thread that it is inside of."""

    run_id: str
    thread_id: str | None


class UserContextIDs(NamedTuple):
    """The IDs of one call of a user's."""

    thread_id: str
    run_id: str
    request_id: str


class Backend(Protocol):
    """Where IDs come from: the service in this process, or a site over HTTP."""

    def types(self) -> Mapping[str, str]:
        """Member names to values, for example ``{"RUN": "run"}``."""

    def generate(
        self,
        type_value: str,
        prefix: str | None,
        context: dict[str, Any] | None,
        owner: str,
        parent: str | None,
    ) -> str: ...

    def register(self, text: str, type_value: str, context: dict[str, Any] | None, owner: str) -> None: ...

    def validate(self, text: str, type_value: str | None) -> "tuple[bool, bool, bool]":
        """Well formed; an ID of the type; issued and active."""

    def record(self, text: str) -> dict[str, Any] | None: ...

    def release(self, text: str, owner: str | None) -> None: ...

    def release_owner(self, owner: str) -> int: ...

    def active(self, type_value: str, limit: int) -> list[str]: ...

    def count_active(self, type_value: str | None) -> int: ...

    def stats(self) -> list[dict[str, Any]]: ...

    def to_uuid(self, text: str) -> uuid.UUID: ...

    def from_uuid(self, value: str, type_value: str) -> str: ...

    def normalise(self, text: str) -> str: ...


class ServiceBackend:
    """The service in this process."""

    def types(self) -> Mapping[str, str]:
        return {row.member: row.value for row in TypeRow.objects.order_by("value")}

    def generate(
        self,
        type_value: str,
        prefix: str | None,
        context: dict[str, Any] | None,
        owner: str,
        parent: str | None,
    ) -> str:
        return minting.generate(type_value, prefix, context, owner=owner, parent=parent)

    def register(self, text: str, type_value: str, context: dict[str, Any] | None, owner: str) -> None:
        minting.register(text, type_value, context, owner=owner)

    def validate(self, text: str, type_value: str | None) -> tuple[bool, bool, bool]:
        found = validation.validate(text, type_value)
        return found.is_format.holds, found.is_type.holds, found.is_issued.holds

    def record(self, text: str) -> dict[str, Any] | None:
        try:
            row = lookups.look_up(text)
        except minting.NotIssued:
            return None
        return {
            "id": row.pk,
            "type": row.type.value,
            "state": row.state,
            "prefix": row.prefix,
            "owner": row.owner,
            "issuer": row.issuer,
            "parent": row.parent_id,
            "issued_at": row.issued_at.isoformat(),
            "released_at": row.released_at.isoformat() if row.released_at else None,
            "context": row.context,
        }

    def release(self, text: str, owner: str | None) -> None:
        minting.release(text, owner=owner)

    def release_owner(self, owner: str) -> int:
        return minting.release_owner(owner)

    def active(self, type_value: str, limit: int) -> list[str]:
        return [row.pk for row in lookups.active(type_value=type_value, limit=limit).rows]

    def count_active(self, type_value: str | None) -> int:
        return lookups.count_active(type_value)

    def stats(self) -> list[dict[str, Any]]:
        return [
            {"type": row.type, "issued": row.issued, "active": row.active, "released": row.released}
            for row in lookups.stats()
        ]

    def to_uuid(self, text: str) -> uuid.UUID:
        return conversion.to_uuid(text)

    def from_uuid(self, value: str, type_value: str) -> str:
        return conversion.from_uuid(value, type_value)

    def normalise(self, text: str) -> str:
        return lookups.normalise(text)


class HttpBackend:
    """A site over HTTP. Each ID is registered and committed when ``generate`` returns.

    ``leased`` makes IDs from leased blocks instead, without a round trip for each; the site knows them a little later.
    """

    def __init__(self, url: str, token: str, *, leased: bool = False) -> None:
        self._source = client.HttpSource(url, token)
        self._client = client.Client(source=self._source) if leased else None

    def types(self) -> Mapping[str, str]:
        found = self._source.call("GET", "/ids/types")
        return {row["value"].upper().replace("-", "_"): row["value"] for row in found}

    def generate(
        self,
        type_value: str,
        prefix: str | None,
        context: dict[str, Any] | None,
        owner: str,
        parent: str | None,
    ) -> str:
        if self._client is not None:
            return self._client.generate(type_value, prefix, context, owner=owner, parent=parent)
        body = {"type": type_value, "prefix": prefix, "context": context, "owner": owner, "parent": parent}
        return str(self._source.call("POST", "/ids/generate", body)["id"])

    def register(self, text: str, type_value: str, context: dict[str, Any] | None, owner: str) -> None:
        self._source.call(
            "POST", "/ids/register", {"id": text, "type": type_value, "context": context, "owner": owner}
        )

    def validate(self, text: str, type_value: str | None) -> tuple[bool, bool, bool]:
        (found,) = self._source.call("POST", "/ids/validate", {"ids": [text], "type": type_value})
        return found["is_format"]["holds"], found["is_type"]["holds"], found["is_issued"]["holds"]

    def record(self, text: str) -> dict[str, Any] | None:
        (found,) = self._source.call("POST", "/ids/explain", {"ids": [text]})
        record: dict[str, Any] | None = found["record"]
        return record

    def release(self, text: str, owner: str | None) -> None:
        self._source.call("POST", "/ids/release", {"id": text, "owner": owner})

    def release_owner(self, owner: str) -> int:
        return int(self._source.call("POST", "/ids/release-owner", {"owner": owner})["count"])

    def active(self, type_value: str, limit: int) -> list[str]:
        page = self._source.call("GET", f"/ids/issued?type={type_value}&limit={limit}")
        return [row["id"] for row in page["items"]]

    def count_active(self, type_value: str | None) -> int:
        query = f"?type={type_value}" if type_value else ""
        return int(self._source.call("GET", f"/ids/count{query}")["count"])

    def stats(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._source.call("GET", "/ids/stats")
        return found

    def to_uuid(self, text: str) -> uuid.UUID:
        return uuid.UUID(self._source.call("POST", "/ids/to-uuids", {"ids": [text]})[0])

    def from_uuid(self, value: str, type_value: str) -> str:
        return str(
            self._source.call("POST", "/ids/from-uuids", {"uuids": [value], "type": type_value})["ids"][0]
        )

    def normalise(self, text: str) -> str:
        (found,) = self._source.call("POST", "/ids/normalise", {"ids": [text]})
        if found["normal"] is None:
            raise ValueError(found["problem"])
        return str(found["normal"])


# --- the enum ---------------------------------------------------------------------------------------------------------


class _FromTheRegistry(type):
    """Stands in for an enum of the registry's types. A member that isn't there yet is looked for anew."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") or not name.isupper():
            raise AttributeError(name)
        return _member(name)

    def __getitem__(cls, name: str) -> Any:
        try:
            return _member(name)
        except AttributeError as error:
            raise KeyError(name) from error

    def __call__(cls, value: Any, *more: Any, **named: Any) -> Any:
        return _by_value(value)

    def __iter__(cls) -> Any:
        return iter(_enum())

    def __len__(cls) -> int:
        return len(_enum())

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _TypeMember)


class _TypeMember(StrEnum):
    """A member of whatever enum was built."""


class IDType(metaclass=_FromTheRegistry):
    """``IDType.RUN``, ``IDType("run")``, ``IDType["RUN"]``, iteration: all types of the registry."""


_lock = threading.Lock()
_built: dict[str, Any] = {}


def _enum(*, anew: bool = False) -> Any:
    with _lock:
        if anew or "enum" not in _built:
            make: Any = _TypeMember
            _built["enum"] = make("IDType", dict(_backend().types()))
        return _built["enum"]


def _member(name: str) -> Any:
    for anew in (False, True):
        found = _enum(anew=anew).__members__.get(name)
        if found is not None:
            return found
    raise AttributeError(f"the registry has no ID type {name}")


def _by_value(value: Any) -> Any:
    for anew in (False, True):
        for member in _enum(anew=anew):
            if member.value == value:
                return member
    raise ValueError(f"{value!r} is no ID type of the registry")


# --- the manager ------------------------------------------------------------------------------------------------------


def _value(id_type: Any) -> str:
    return str(id_type.value) if isinstance(id_type, Enum) else str(id_type)


class IDManager:
    """The original's methods. What is refused raises: ``MintingError`` of the service, ``Refused`` of a client."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def generate_id(
        self,
        id_type: Any,
        prefix: str | None = None,
        context: dict[str, Any] | None = None,
        *,
        owner: str = "",
        parent: str | None = None,
    ) -> str:
        """A new ID of a type, recorded."""
        return self._backend.generate(_value(id_type), prefix, context, owner, parent)

    def register_existing_id(
        self, existing_id: str, id_type: Any, context: dict[str, Any] | None = None, *, owner: str = ""
    ) -> bool:
        """Record an ID that was made elsewhere. False where the registry has it already, or it is none of the type."""
        try:
            self._backend.register(existing_id, _value(id_type), context, owner)
        except minting.UnknownType:
            raise
        except (minting.MintingError, client.Refused) as error:
            if error.code in {"already-issued", "invalid-id"}:
                return False
            raise
        return True

    def is_valid_id(self, text: str, id_type: Any = None) -> bool:
        """Whether the registry has this ID as issued and not released; with a type, as one of that type."""
        _, is_type, is_issued = self._backend.validate(text, _value(id_type) if id_type is not None else None)
        return is_issued and (id_type is None or is_type)

    def is_valid_id_format(self, text: str) -> bool:
        """Whether the text is in one of the formats, issued or not."""
        return self._backend.validate(text, None)[0]

    def is_valid_id_for_type(self, text: str, id_type: Any) -> bool:
        """Whether the text is an ID of the type, issued or not."""
        return self._backend.validate(text, _value(id_type))[1]

    def get_id_metadata(self, text: str) -> dict[str, Any] | None:
        """What the registry knows of an ID, None where it doesn't."""
        return self._backend.record(text)

    def release_id(self, text: str, *, owner: str | None = None) -> bool:
        """Release an ID. False where there is none, it was released before, or it is another owner's."""
        try:
            self._backend.release(text, owner)
        except (minting.MintingError, client.Refused) as error:
            if error.code in {"not-issued", "already-released", "not-owner", "invalid-id"}:
                return False
            raise
        return True

    def release_owner(self, owner: str) -> int:
        """Release every ID of exactly this owner, and return how many those were."""
        return self._backend.release_owner(owner)

    def get_active_ids(self, id_type: Any, limit: int = 1_000) -> set[str]:
        """The newest active IDs of a type, at most 1,000."""
        return set(self._backend.active(_value(id_type), limit))

    def count_active_ids(self, id_type: Any = None) -> int:
        """How many IDs are active, of a type or of all."""
        return self._backend.count_active(_value(id_type) if id_type is not None else None)

    def cleanup_released_ids(self, max_age_hours: int = 24) -> int:
        """Nothing, and 0: released IDs stay as tombstones until the type's retention is over."""
        return 0

    def get_stats(self) -> dict[str, Any]:
        """Totals, and the figures of each type."""
        rows = self._backend.stats()
        return {
            "total_registered": sum(row["issued"] for row in rows),
            "active_ids": sum(row["active"] for row in rows),
            "released_ids": sum(row["released"] for row in rows),
            "active_by_type": {row["type"]: row["active"] for row in rows},
        }

    # --- runs, threads, calls ---

    def generate_run_id(self, thread_id: str, *, owner: str = "") -> str:
        """A run inside a thread that the registry has."""
        return self._backend.generate("run", None, None, owner, thread_id)

    def extract_thread_id(self, run_id: str) -> str | None:
        """The thread that a run is inside of: by the relation that was recorded, never read out of the text."""
        found = self._backend.record(run_id)
        return found["parent"] if found is not None else None

    def parse_run_id(self, run_id: str) -> ParsedRunID:
        """A run and its thread. Raises ValueError for what is no ID of a run."""
        if not self.validate_run_id(run_id):
            raise ValueError(f"{run_id!r} is no run ID")
        return ParsedRunID(run_id, self.extract_thread_id(run_id))

    def validate_run_id(self, run_id: str) -> bool:
        """Whether the text is an ID of a run, issued or not."""
        return self.is_valid_id_for_type(run_id, "run")

    def generate_thread_id(self, *, owner: str = "") -> str:
        return self._backend.generate("thread", None, None, owner, None)

    def generate_websocket_id(self, *, owner: str = "") -> str:
        return self._backend.generate("websocket", None, None, owner, None)

    def generate_user_context_ids(self, user_id: str, thread_id: str | None = None) -> UserContextIDs:
        """A thread, a run inside it and a request inside that, all owned by the user."""
        thread = thread_id or self._backend.generate("thread", None, None, user_id, None)
        run = self._backend.generate("run", None, None, user_id, thread)
        return UserContextIDs(thread, run, self._backend.generate("request", None, None, user_id, run))

    # --- spellings ---

    def convert_uuid_to_structured(self, value: str, id_type: Any) -> str:
        """The ID that means the same as a UUID: the same one each time."""
        return self._backend.from_uuid(str(value), _value(id_type))

    def convert_structured_to_uuid(self, text: str) -> str:
        """The UUID that means the same as an ID: the one that it came from, bit for bit."""
        return str(self._backend.to_uuid(text))

    def normalize_id(self, text: str) -> str:
        """The one spelling of an ID. Raises for what is none."""
        return self._backend.normalise(text)


def configure(backend: Backend) -> None:
    """Take IDs from another place from now on: ``HttpBackend`` outside of the site's processes."""
    with _lock:
        _built.clear()
        _built["backend"] = backend
        _built["manager"] = IDManager(backend)


def _backend() -> Backend:
    backend: Backend = _built.setdefault("backend", ServiceBackend())
    return backend


def get_id_manager() -> IDManager:
    """The manager of this process."""
    with _lock:
        manager: IDManager | None = _built.get("manager")
        if manager is None:
            manager = _built["manager"] = IDManager(_backend())
        return manager


def _of_the_manager(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(IDManager, name))
    def function(*given: Any, **named: Any) -> Any:
        return getattr(get_id_manager(), name)(*given, **named)

    return function


generate_id = _of_the_manager("generate_id")
register_existing_id = _of_the_manager("register_existing_id")
is_valid_id = _of_the_manager("is_valid_id")
is_valid_id_format = _of_the_manager("is_valid_id_format")
is_valid_id_for_type = _of_the_manager("is_valid_id_for_type")
get_id_metadata = _of_the_manager("get_id_metadata")
release_id = _of_the_manager("release_id")
get_active_ids = _of_the_manager("get_active_ids")
count_active_ids = _of_the_manager("count_active_ids")
cleanup_released_ids = _of_the_manager("cleanup_released_ids")
get_stats = _of_the_manager("get_stats")
generate_run_id = _of_the_manager("generate_run_id")
extract_thread_id = _of_the_manager("extract_thread_id")
parse_run_id = _of_the_manager("parse_run_id")
validate_run_id = _of_the_manager("validate_run_id")
generate_thread_id = _of_the_manager("generate_thread_id")
generate_websocket_id = _of_the_manager("generate_websocket_id")
generate_user_context_ids = _of_the_manager("generate_user_context_ids")
convert_uuid_to_structured = _of_the_manager("convert_uuid_to_structured")
convert_structured_to_uuid = _of_the_manager("convert_structured_to_uuid")
normalize_id = _of_the_manager("normalize_id")
