"""The house keeps its shape: import contracts hold, and each of them would notice a breach."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("audits", "ids", "ssot_dash")
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

# One line that breaks each contract, and the file that it goes into.
BREACHES = {
    "apps": ("ids/models.py", "import audits.models"),
    "audits": ("audits/auditing.py", "import audits.tasks"),
    "verdicts": ("audits/verdicts/claims.py", "import audits.verdicts.closure"),
    "reading": ("audits/verdicts/dossier.py", "import audits.models"),
    "rendering": ("audits/templatetags/audit_words.py", "import audits.tasks"),
    "engine": ("audits/engine/findings.py", "import django"),
    "engine-layers": ("audits/engine/facts.py", "import audits.engine.codebase"),
    "git": ("audits/views/code.py", "import pygit2"),
    "fetch-child": ("audits/fetch_child.py", "import audits.models"),
    "execute-child": ("audits/execute_child.py", "import audits.models"),
    "ids": ("ids/models.py", "import ids.minting"),
    "formats": ("ids/formats.py", "import django"),
    "embedded": ("ssot_dash/embedded/data.py", "import ssot_dash.settings"),
}


def lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", *arguments],
        cwd=tree,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages that the contracts are about."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_to_the_contracts() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in checked.stdout


def test_every_contract_has_a_breach_to_try_it() -> None:
    assert set(BREACHES) == set(CONTRACTS)


@pytest.mark.parametrize("contract", BREACHES)
def test_seeded_breach_is_reported(tree: Path, contract: str) -> None:
    file, line = BREACHES[contract]
    with (tree / file).open("a") as source:
        source.write(f"\n{line}\n")
    checked = lint(tree, "--contract", contract)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "0 kept, 1 broken" in checked.stdout
    assert line.removeprefix("import ") in checked.stdout


@pytest.mark.parametrize("package", ["audits", "audits/engine", "audits/verdicts", "ids"])
def test_module_that_no_layer_lists_is_reported(tree: Path, package: str) -> None:
    (tree / package / "helpers.py").touch()
    checked = lint(tree)
    assert checked.returncode == 1
    assert f"{package.replace('/', '.')}.helpers" in checked.stdout


def imports_of(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "source", sorted((ROOT / "ssot_dash/embedded").glob("*.py")), ids=lambda path: path.name
)
def test_embedded_code_needs_the_standard_library_only(source: Path) -> None:
    """manage.py runs parts of it before anything is installed."""
    others = {name for name in imports_of(source) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("ssot_dash.embedded")} == set()


def test_no_module_is_a_drawer() -> None:
    names = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert names.isdisjoint({"utils.py", "helpers.py", "common.py", "misc.py"})
