"""The rule registry-drift: the enum in the code beside the ID types of the registry."""

import pytest

from audits.engine.registry import RegisteredType, Registry, RegistryError, read_registry
from tests.audits.engine.harness import findings_of, found

POLICY = 'version = 1\n[[registry]]\nenum = "app.ids.IDType"\n'
TREE = {
    "app/__init__.py": "",
    "app/ids.py": "import enum\nclass IDType(enum.Enum):\n    USER = 'user'\n    RUN: str = 'run'\n    OLD = 'old'\n",
    "app/other.py": "class IDType:\n    X = 'x'\n",
}
REGISTRY = Registry(
    (
        RegisteredType("user"),
        RegisteredType("old", "retired"),
        RegisteredType("trace"),
        RegisteredType("aged", "deprecated"),
    )
)


def test_differences_either_way_are_found() -> None:
    seen = found(TREE, "registry-drift", policy=POLICY, registry=REGISTRY)
    assert [(place, subject) for _, place, subject, _ in seen] == [
        ("app/ids.py:2", "app.ids.IDType lacks 'trace'"),
        ("app/ids.py:4", "app.ids.IDType.RUN"),
        ("app/ids.py:5", "app.ids.IDType.OLD"),
    ]
    messages = [f.message for f in findings_of(TREE, "registry-drift", policy=POLICY, registry=REGISTRY)]
    assert messages == [
        "the registry has the active ID type 'trace', IDType doesn't",
        "the ID type 'run' is not in the registry",
        "the ID type 'old' is retired in the registry",
    ]


def test_without_a_registry_nothing_is_said() -> None:
    assert found(TREE, "registry-drift", policy=POLICY) == []


def test_digest_depends_on_what_is_registered_and_not_on_the_order() -> None:
    assert Registry(REGISTRY.types[::-1]).digest == REGISTRY.digest
    assert Registry(REGISTRY.types[:2]).digest != REGISTRY.digest


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"schema": 2, "types": []}', b'{"schema": 1, "types": [{}]}', b"\xff"]
)
def test_files_that_are_no_registry_are_refused(data: bytes) -> None:
    with pytest.raises(RegistryError, match=r"registry|schema"):
        read_registry(data)
    assert read_registry(b'{"schema": 1, "types": [{"value": "run"}]}').active == ["run"]
