"""The original's names on top of the service: what it did right works, and each of its faults is gone."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from ids import compat, minting
from ids.compat import IDType, get_id_manager
from ids.models import IDType as TypeRow
from ssot_dash import tokens


@pytest.fixture(params=["service", "http"])
def manager(request: pytest.FixtureRequest, registry: Any) -> Iterator[compat.IDManager]:
    if request.param == "http":
        secret = tokens.create(User.objects.create_superuser("ada"), "x", ["ids:read", "ids:write"])[1]
        compat.configure(compat.HttpBackend(request.getfixturevalue("live_server").url, secret))
    else:
        compat.configure(compat.ServiceBackend())
    yield get_id_manager()
    compat.configure(compat.ServiceBackend())


def test_the_life_of_an_id_by_the_original_names(manager: compat.IDManager) -> None:
    text = manager.generate_id(IDType.RUN, prefix="user", context={"a": 1})
    assert text.startswith("user_run_")
    # its own validator refused what the original generated, and took the prefix for the type
    assert manager.is_valid_id(text) and manager.is_valid_id(text, IDType.RUN)
    assert not manager.is_valid_id(text, IDType.USER) and not manager.is_valid_id_for_type(text, IDType.USER)
    metadata = manager.get_id_metadata(text)
    assert metadata is not None and metadata["context"] == {"a": 1}
    assert manager.get_active_ids(IDType.RUN) == {text} and manager.count_active_ids(IDType.RUN) == 1
    assert manager.release_id(text) and not manager.release_id(text) and not manager.is_valid_id(text)
    assert manager.get_stats()["released_ids"] == 1 and manager.cleanup_released_ids() == 0
    assert not manager.register_existing_id(text, IDType.RUN)
    assert manager.register_existing_id("run_900_00c0ffee", IDType.RUN)
    assert not manager.register_existing_id("not-an-id", IDType.RUN)


@pytest.mark.parametrize("text", ["not-an-id", "drop-table-users", "", "run_1", "run_1_xyz"])
def test_what_is_no_id_is_not_valid(manager: compat.IDManager, text: str) -> None:
    assert not manager.is_valid_id_format(text) and not manager.is_valid_id(text)


def test_owners_are_compared_whole(manager: compat.IDManager) -> None:
    mine, other = (manager.generate_id(IDType.RUN, owner=f"user-123{end}") for end in ("", "4"))
    assert not manager.release_id(other, owner="user-123") and manager.release_owner("user-123") == 1
    assert manager.is_valid_id(other) and not manager.is_valid_id(mine)


def test_runs_threads_and_calls(manager: compat.IDManager) -> None:
    thread = manager.generate_thread_id()
    run = manager.generate_run_id(thread)
    assert manager.extract_thread_id(run) == thread and manager.validate_run_id(run)
    assert manager.parse_run_id(run) == (run, thread)
    with pytest.raises(ValueError, match="no run ID"):
        manager.parse_run_id(thread)
    found = manager.generate_user_context_ids("user-7")
    assert manager.extract_thread_id(found.run_id) == found.thread_id
    assert manager.generate_websocket_id().startswith("websocket_")


def test_uuids_come_back_bit_for_bit(manager: compat.IDManager) -> None:
    number = str(uuid.uuid4())
    text = manager.convert_uuid_to_structured(number, IDType.RUN)
    assert text.startswith("run_") and manager.convert_uuid_to_structured(number, IDType.RUN) == text
    assert manager.convert_structured_to_uuid(text) == number
    assert manager.normalize_id(text.upper()) == text


def test_the_enum_is_the_registry(manager: compat.IDManager) -> None:
    assert (IDType.RUN.value, IDType("run"), IDType["RUN"]) == ("run", IDType.RUN, IDType.RUN)
    assert len(list(IDType)) == len(IDType) == TypeRow.objects.count() and isinstance(IDType.RUN, IDType)  # type: ignore[call-overload]
    TypeRow.objects.create(value="web-hook", description="Made a moment ago.")
    assert manager.generate_id(IDType.WEB_HOOK).startswith("web-hook_")
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = IDType.NOTHING
    with pytest.raises(ValueError, match="nothing"):
        IDType("nothing")


def test_functions_of_the_module_use_the_manager(manager: compat.IDManager) -> None:
    text = compat.generate_id(IDType.RUN)
    assert compat.is_valid_id(text) and compat.release_id(text)


def test_an_unknown_type_is_an_error(registry: Any) -> None:
    compat.configure(compat.ServiceBackend())
    with pytest.raises(minting.UnknownType):
        compat.generate_id("runn")
