"""The registry as code: what is written, that tools accept it, and that the audit finds no drift from it."""

import importlib.util
import json
import re
import subprocess
import sys
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.registry import read_registry
from ids import exports
from ids.exports import ExportedType, export
from ids.models import IDType
from ssot_dash import tokens
from tests.audits.engine.harness import found

ROOT = Path(__file__).resolve().parents[2]
POLICY = 'version = 1\n[[registry]]\nenum = "app.ids.IDType"\n'
TYPES = [
    ExportedType("web-hook", "WEB_HOOK", "active", "A call to others.", "typeid"),
    ExportedType("run", "RUN", "active", "One pass.\nOver two lines.", "structured"),
    ExportedType("old", "OLD", "deprecated", "What was before.", "ulid"),
    ExportedType("gone", "GONE", "retired", "No more.", "uuid4"),
]


def written(types: list[ExportedType], path: Path) -> type[Enum]:
    path.write_text(export("python", types).text)
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind: type[Enum] = module.IDType
    return kind


def test_the_python_file_is_an_enum_of_what_can_be_issued(tmp_path: Path) -> None:
    kind = written(TYPES, tmp_path / "exported.py")
    assert {member.name: member.value for member in kind} == {
        "OLD": "old",
        "RUN": "run",
        "WEB_HOOK": "web-hook",
    }
    text = export("python", TYPES).text
    assert "    #: One pass. Over two lines.\n    RUN" in text
    assert "    #: Deprecated. What was before.\n    OLD" in text


NASTY = [
    ExportedType("a", "A", "active", "type: ignore", "structured"),
    ExportedType("b", "B", "active", 'quotes """ and \\ and # noqa: X and ' + "words " * 60, "structured"),
    ExportedType("c", "C", "active", "*/ alert(1) /* \u2028 \N{EM DASH} x = 1", "structured"),
]


@pytest.mark.parametrize("types", [TYPES, NASTY, []], ids=["usual", "nasty", "empty"])
def test_ruff_and_mypy_accept_the_python_file(types: list[ExportedType], tmp_path: Path) -> None:
    written(types, tmp_path / "id_types.py")
    for check in (
        ["ruff", "check", "--isolated", "--select", "E,F,W,I,UP,B,D1,PIE,PYI,RUF100", "--line-length", "120"],
        ["ruff", "format", "--isolated", "--check", "--diff"],
        ["mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *check, "id_types.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_audit_closes_the_loop() -> None:
    """What was exported has no drift; a type that is added, removed or retired later has."""
    tree = {"app/ids.py": export("python", TYPES).text, "app/__init__.py": ""}

    def drift(types: list[ExportedType]) -> list[Any]:
        registry = read_registry(export("registry", types).text.encode())
        return found(tree, "registry-drift", policy=POLICY, registry=registry)

    assert drift(TYPES) == []
    assert len(drift(TYPES[1:])) == 1  # web-hook was removed
    added = ExportedType("new", "NEW", "active", "New.", "ulid")
    assert len(drift([*TYPES, added])) == 1
    assert len(drift([*TYPES[:2], ExportedType("old", "OLD", "retired", "x", "ulid"), TYPES[3]])) == 1


def test_typescript_holds_the_same_members() -> None:
    text = export("typescript", [*TYPES, *NASTY]).text
    assert '  WEB_HOOK: "web-hook",' in text and "GONE" not in text
    assert "/** @deprecated What was before. */" in text
    # no description ends the comment that it stands in
    assert all(line.count("*/") == 1 and line.endswith("*/") for line in text.splitlines() if "/**" in line)


def test_the_json_schema_describes_values_and_ids() -> None:
    schema = json.loads(export("json-schema", TYPES).text)
    assert [entry["const"] for entry in schema["oneOf"]] == ["old", "run", "web-hook"]
    assert schema["oneOf"][0]["deprecated"] is True
    ids = schema["$defs"]
    assert re.search(ids["run"]["pattern"], "eu-west_run_17_9f86d081")
    assert re.search(ids["web-hook"]["pattern"], "web_hook_01jdz2xq0pfqgrb4v5v7x0a3kc")
    assert not re.search(ids["run"]["pattern"], "run_17_9f86d081x")
    assert re.search(ids["gone"]["pattern"], "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11")
    assert "?P<" not in json.dumps(ids)
    assert json.loads(export("json-schema", []).text)["enum"] == []


@given(st.lists(st.text(max_size=80), max_size=4))
def test_no_description_breaks_a_file(descriptions: list[str]) -> None:
    types = [
        ExportedType(f"t{index}", f"T{index}", "active", text, "ulid")
        for index, text in enumerate(descriptions)
    ]
    names: dict[str, Any] = {"__name__": "exported"}
    exec(export("python", types).text, names)  # noqa: S102
    assert [member.value for member in names["IDType"]] == [entry.value for entry in types]
    json.loads(export("json-schema", types).text)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_checks_and_says_when_a_file_is_out_of_date(
    canonical_types: None, tmp_path: Path
) -> None:
    out = StringIO()
    call_command("export_idtypes", stdout=out)
    assert '    RUN = "run"' in out.getvalue()
    path = tmp_path / "ids.ts"
    call_command("export_idtypes", "--format", "typescript", "--output", str(path))
    call_command("export_idtypes", "--format", "typescript", "--check", str(path), stdout=out)
    IDType.objects.create(value="web-hook", description="New.")
    with pytest.raises(CommandError, match="differs from the registry"):
        call_command("export_idtypes", "--format", "typescript", "--check", str(path))
    with pytest.raises(CommandError, match="No such file"):
        call_command("export_idtypes", "--check", str(tmp_path / "none.py"))


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def ada(client: Client, canonical_types: None) -> Client:
    client.force_login(User.objects.create_user("ada"))
    return client


@pytest.mark.parametrize(
    ("suffix", "target"),
    [("py", "python"), ("ts", "typescript"), ("schema.json", "json-schema"), ("json", "registry")],
)
def test_the_file_comes_with_an_etag_and_is_sent_once(ada: Client, suffix: str, target: str) -> None:
    first = ada.get(f"/ids/registry.{suffix}")
    assert first.text == export(target, IDType.objects.exported()).text
    again = ada.get(f"/ids/registry.{suffix}", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    IDType.objects.create(value="web-hook", description="New.")
    changed = ada.get(f"/ids/registry.{suffix}", headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200 and "web-hook" in changed.text


def test_another_suffix_is_not_found(ada: Client) -> None:
    assert ada.get("/ids/registry.exe").status_code == 404


def test_programs_fetch_it_with_a_token(canonical_types: None) -> None:
    user = User.objects.create_user("bot")
    _, secret = tokens.create(user, "export", ["ids:read"])
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    for target in exports.TARGETS:
        answer = program.get(f"/api/v1/ids/types/export?format={target}")
        assert answer.text == export(target, IDType.objects.exported()).text
        again = program.get(
            f"/api/v1/ids/types/export?format={target}", headers={"If-None-Match": answer["ETag"]}
        )
        assert again.status_code == 304
    assert 'RUN = "run"' in program.get("/api/v1/ids/types/export").text
    assert program.get("/api/v1/ids/types/export?format=cobol").status_code == 422
    assert Client().get("/api/v1/ids/types/export").status_code == 401
