"""The rule unresolved-import."""

import pytest

from tests.audits.engine.harness import findings_of, found

PACKAGE = {"pkg/__init__.py": "", "pkg/there.py": "Name = 1\nclass Other: pass"}


def unresolved(files: dict[str, str], policy: str = "") -> list[tuple[str, str, str]]:
    """(path:line, subject, annotations) of each finding, beside a package with a module ``pkg.there``."""
    seen = found({**PACKAGE, **files}, "unresolved-import", policy=policy)
    return [(place, subject, marks) for _, place, subject, marks in seen]


def subjects(source: str, files: dict[str, str] | None = None, path: str = "pkg/use.py") -> list[str]:
    return [subject for _, subject, _ in unresolved({path: source, **(files or {})})]


# --- modules and names that aren't there --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("import pkg.gone", "pkg.gone"),
        ("import pkg.gone as g", "pkg.gone"),
        ("import sys, pkg.gone", "pkg.gone"),
        ("from pkg.gone import x", "pkg.gone"),
        ("from pkg.gone import x, y, z", "pkg.gone"),
        ("from pkg.gone import *", "pkg.gone"),
        ("from pkg.gone.deeper import x", "pkg.gone"),
        ("from pkg.there.deeper import x", "pkg.there.deeper"),
        ("from pkg import gone", "pkg.gone"),
        ("from pkg.there import gone", "pkg.there.gone"),
        ("from pkg.there import Name, gone", "pkg.there.gone"),
        ("from .gone import x", "pkg.gone"),
        ("from . import gone", "pkg.gone"),
        ("from .there import gone", "pkg.there.gone"),
    ],
)
def test_what_is_not_there_is_found_once(statement: str, subject: str) -> None:
    assert subjects(statement) == [subject]


@pytest.mark.parametrize(
    "statement",
    [
        "import pkg",
        "import pkg.there",
        "from pkg import there",
        "from pkg.there import Name, Other",
        "from pkg.there import *",
        "from . import there",
        "from .there import Name as N",
        "from pkg import __name__, __file__, __path__, __doc__",
        "import os, elsewhere",
        "from elsewhere import anything",
        "from elsewhere.deeper import anything",
        "from __future__ import annotations",
    ],
)
def test_what_is_there_or_installed_is_no_finding(statement: str) -> None:
    assert subjects(statement) == []


def test_each_absent_name_has_its_own_line() -> None:
    source = "from pkg.there import (\n    Name,\n    gone,\n    lost,\n)"
    assert [place for place, _, _ in unresolved({"use.py": source})] == ["use.py:3", "use.py:4"]


def test_an_absent_module_stands_where_its_statement_starts() -> None:
    source = "x = 1\nif x:\n    from pkg.gone import (\n        a,\n        b,\n    )"
    (finding,) = findings_of({**PACKAGE, "use.py": source}, "unresolved-import")
    assert (finding.line, finding.column, finding.member) == (3, 4, None)


def test_an_absent_name_points_to_the_module_that_lacks_it() -> None:
    (finding,) = findings_of({**PACKAGE, "use.py": "from pkg.there import gone"}, "unresolved-import")
    assert finding.definition is not None
    assert (finding.definition.path, finding.member) == ("pkg/there.py", "gone")
    assert finding.message == "pkg.there has no name gone"


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("from pkg.there import name", "Did you mean Name?"),
        ("from pkg.there import Othr", "Did you mean Other?"),
        ("from pkg import Other", "Other is defined in pkg.there."),
        ("from pkg import Name", "Name is defined in pkg.there."),
        ("from pkg.old.there import Name", ""),
        ("import there_is.nothing, pkg.gone.there", ""),
        ("from pkg.there import nothing_like_it", "Nothing in this tree defines that name."),
    ],
)
def test_the_hint_helps(statement: str, hint: str) -> None:
    findings = findings_of({**PACKAGE, "use.py": statement}, "unresolved-import")
    assert [f.hint for f in findings] == [hint]


def test_the_hint_knows_where_a_module_may_have_gone() -> None:
    (finding,) = findings_of(
        {**PACKAGE, "pkg/new/__init__.py": "", "pkg/new/mover.py": "", "use.py": "import pkg.mover"},
        "unresolved-import",
    )
    assert finding.hint == "There is pkg.new.mover: moved?"


# --- names that a module has although no statement of its own binds them plainly ----------------------------


@pytest.mark.parametrize(
    "source",
    [
        "def name(): pass",
        "async def name(): pass",
        "class name: pass",
        "name = 1",
        "name: int = 1",
        "a = name = 1",
        "(a, [name, *b]) = x",
        "for name in x: pass",
        "with x as name: pass",
        "if x:\n    name = 1",
        "try:\n    import fast as name\nexcept ImportError:\n    name = None",
        "while (name := x): pass",
        "[name := x for y in z]",
        "import os as name",
        "import name",
        "import name.deeper",
        "from os import name",
        "from elsewhere import *",
        "def f():\n    global name\n    name = 1",
        "def f():\n    if x:\n        global name\n    import name",
        "match x:\n    case [name]: pass",
        "name = 1\ndel name\nname = 2",
        "if x:\n    del name\nelse:\n    name = 1",
        "def __getattr__(n): pass",
        "globals()['na' + 'me'] = 1",
        "for n in names:\n    globals()[n] = n",
        "import sys\nsys.modules[__name__] = x",
        "import sys\nsys.modules['pkg.mod'] = x",
        "import sys\nthis = sys.modules[__name__]\nfor n in names: setattr(this, n, 1)",
        "import importlib\nthis = importlib.import_module(__name__)",
        "import signal\nIntEnum._convert_('Signals', __name__, f)",
        "@enum.global_enum\nclass E(enum.Enum):\n    name = 1",
        "import apipkg\napipkg.initpkg(__name__, {})",
        "exec(code)",
    ],
)
def test_what_a_module_has(source: str) -> None:
    assert subjects("from pkg.mod import name", {"pkg/mod.py": source}) == []


@pytest.mark.parametrize(
    "source",
    [
        "name: int",
        "def f(name): pass",
        "def f(): name = 1",
        "def f():\n    import name",
        "class A:\n    name = 1",
        "[name for name in x]",
        "lambda name: name",
        "name = 1\ndel name",
        "x.name = 1",
        "x['name'] = 1",
        "try: pass\nexcept OSError as name: pass",
        "'name'",
        "__all__ = ['name']",
        "class A:\n    def __getattr__(self, n): pass",
        "def f():\n    def __getattr__(n): pass",
        "print(globals().get('name'), 'name' in globals(), globals()['name'])",
    ],
)
def test_what_a_module_does_not_have(source: str) -> None:
    assert subjects("from pkg.mod import name", {"pkg/mod.py": source}) == ["pkg.mod.name"]


def test_what_another_module_sets_on_it_is_a_name_of_a_module() -> None:
    files = {"pkg/mod.py": "", "pkg/setup_mod.py": "from pkg import mod\nmod.name = 1"}
    assert subjects("from pkg.mod import name", files) == []


def test_what_a_test_sets_on_a_module_mends_no_other_file() -> None:
    files = {
        "pkg/mod.py": "",
        "tests/test_a.py": "from pkg import mod\nmod.name = 1\nfrom pkg.mod import name",
    }
    assert subjects("from pkg.mod import name", files) == ["pkg.mod.name"]


def test_names_that_come_through_a_star_are_names_of_the_module() -> None:
    files = {"pkg/mod.py": "from .there import *"}
    assert subjects("from pkg.mod import Name, gone", files) == ["pkg.mod.gone"]


def test_an_absent_star_is_one_wrong_place_and_no_more() -> None:
    files = {"pkg/mod.py": "from .gone import *", "pkg/more.py": "from .mod import *"}
    assert unresolved({**files, "use.py": "from pkg.mod import a\nfrom pkg.more import b"}) == [
        ("pkg/mod.py:1", "pkg.gone", "import_time")
    ]


def test_a_re_export_of_something_absent_is_found_where_it_is_imported() -> None:
    files = {"pkg/shim.py": "from pkg.there import gone", "use.py": "from pkg.shim import gone"}
    assert unresolved(files) == [("pkg/shim.py:1", "pkg.there.gone", "import_time")]


# --- a package and its own parts ----------------------------------------------------------------------------


def test_a_package_may_import_its_own_parts() -> None:
    init = "from . import there\nfrom pkg import there as again\nimport pkg.there\nfrom . import gone"
    assert unresolved({"pkg/__init__.py": init}) == [("pkg/__init__.py:4", "pkg.gone", "import_time")]


def test_a_package_may_import_what_it_has_bound_before() -> None:
    assert subjects("", {"pkg/__init__.py": "Name = 1\nfrom . import Name"}) == []


def test_a_module_that_imports_from_itself_is_left_alone() -> None:
    source = "class Name: pass\nfrom pkg.own import Name"
    assert subjects(source, path="pkg/own.py") == []


def test_a_submodule_counts_as_a_name_of_its_package() -> None:
    assert (
        subjects("import pkg\nfrom pkg import there\nfrom pkg.sub import mod", {"pkg/sub/mod.py": ""}) == []
    )


# --- relative imports ---------------------------------------------------------------------------------------


def test_a_relative_import_above_the_topmost_package_says_so() -> None:
    (finding,) = findings_of({**PACKAGE, "pkg/use.py": "from ...settings import X"}, "unresolved-import")
    assert (finding.subject, finding.message) == (
        "...settings",
        "...settings goes above the topmost package",
    )


def test_relative_imports_in_a_folder_without_init_work() -> None:
    files = {"space/a.py": "from . import b\nfrom .b import x\nfrom .c import y", "space/b.py": "x = 1"}
    assert unresolved(files) == [("space/a.py:3", "space.c", "import_time")]


# --- guards, fallbacks, platforms, type checkers ------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("import pkg.gone", "import_time"),
        ("def f():\n    import pkg.gone", ""),
        ("try:\n    import pkg.gone\nexcept ImportError:\n    pass", "guarded import_time"),
        ("try:\n    import pkg.gone\nexcept ModuleNotFoundError:\n    gone = None", "guarded import_time"),
        ("try:\n    import pkg.gone\nexcept (ValueError, ImportError):\n    pass", "guarded import_time"),
        ("try:\n    import pkg.gone\nexcept:\n    pass", "guarded import_time"),
        ("try:\n    import pkg.gone\nexcept ImportError as e:\n    raise RuntimeError from e", "import_time"),
        ("try:\n    import pkg.gone\nexcept ImportError:\n    sys.exit('install it')", "import_time"),
        ("try:\n    import pkg.gone\nexcept AttributeError:\n    pass", "import_time"),
        ("try:\n    import pkg.gone\nfinally:\n    pass", "import_time"),
        ("with suppress(ImportError):\n    import pkg.gone", "guarded import_time"),
        ("if TYPE_CHECKING:\n    import pkg.gone", "type_checking_only"),
        ("if False:\n    import pkg.gone", "type_checking_only"),
        ("if __name__ == '__main__':\n    import pkg.gone", ""),
        ("if sys.platform == 'win32':\n    import pkg.gone", "import_time possible"),
        ("if sys.version_info < (3, 9):\n    import pkg.gone", "import_time possible"),
        ("if platform.system() == 'Windows':\n    import pkg.gone", "import_time possible"),
        ("if django.VERSION >= (6,):\n    import pkg.gone", "import_time possible"),
        ("if x.platform:\n    import pkg.gone", "import_time"),
    ],
)
def test_annotations_say_what_is_special_about_the_place(source: str, marks: str) -> None:
    assert [m for _, _, m in unresolved({"use.py": source})] == [marks]


def test_a_fallback_runs_for_certain_only_when_what_it_stands_in_for_is_absent() -> None:
    works = "try:\n    import pkg.there\nexcept ImportError:\n    import pkg.gone"
    absent = "try:\n    import pkg.lost\nexcept ImportError:\n    import pkg.gone"
    outside = "try:\n    import elsewhere\nexcept ImportError:\n    import pkg.gone"
    assert unresolved({"works.py": works, "absent.py": absent, "outside.py": outside}) == [
        ("absent.py:2", "pkg.lost", "guarded import_time"),
        ("absent.py:4", "pkg.gone", "import_time"),
        ("outside.py:4", "pkg.gone", "import_time possible"),
        ("works.py:4", "pkg.gone", "import_time possible"),
    ]


def test_fallbacks_of_fallbacks() -> None:
    source = """
        try:
            import pkg.there
        except ImportError:
            try:
                import pkg.lost
            except ImportError:
                import pkg.gone
    """
    assert [m for _, _, m in unresolved({"use.py": source})] == [
        "guarded import_time possible",
        "import_time possible",
    ]


def test_a_fallback_inside_a_function_of_the_handler_is_none() -> None:
    source = "try:\n    import pkg.there\nexcept ImportError:\n    def f():\n        import pkg.gone"
    assert [m for _, _, m in unresolved({"use.py": source})] == [""]


def test_names_that_only_stubs_have_exist_for_type_checkers() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.mod import Alias"
    assert len(subjects(source, {"pkg/mod.py": ""})) == 1
    assert subjects(source, {"pkg/mod.py": "", "pkg/mod.pyi": ""}) == []
    assert subjects(source, {"pkg/mod.py": "", "pkg-stubs/mod.pyi": ""}) == []


# --- what a build makes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "pkg/made.pyi",
        "pkg/made/__init__.pyi",
        "pkg/made.pyx",
        "pkg/made.pyx.tp",
        "pkg/made.c",
        "pkg/made.cpython-311-x86_64-linux-gnu.so",
        "pkg/made.abi3.so",
        "pkg/made.cp312-win_amd64.pyd",
        "pkg/made",  # a submodule or a linked folder
    ],
)
def test_what_stands_for_a_module_counts_as_one(path: str) -> None:
    assert subjects("from pkg.made import x\nfrom pkg import made\nimport pkg.made", {path: ""}) == []


def test_modules_that_are_generated_from_other_files_exist() -> None:
    files = {"proto/order.proto": "", "grammar/Sql.g4": ""}
    made = "from pkg import order_pb2, order_pb2_grpc, SqlLexer\nfrom pkg.SqlParser import x"
    assert subjects(made, files) == []
    assert subjects("from pkg import other_pb2", files) == ["pkg.other_pb2"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("setup.py", "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('pkg._made', ['x.c'])])"),
        ("setup.py", "from setuptools import Extension\nExtension(name='pkg._made', sources=[])"),
        ("build_ffi.py", "import cffi\nffi = cffi.FFI()\nffi.set_source('pkg._made', '')"),
        ("setup.py", "from setuptools_rust import RustExtension\nRustExtension('pkg._made')"),
        ("pyproject.toml", "[tool.maturin]\nmodule-name = 'pkg._made'"),
        ("pyproject.toml", "[[tool.setuptools.ext-modules]]\nname = 'pkg._made'"),
        ("pyproject.toml", "[tool.setuptools_scm]\nversion_file = 'pkg/_made.py'"),
        ("meson.build", "py.extension_module('_made', 'x.c')"),
        ("pkg/CMakeLists.txt", "pybind11_add_module(_made MODULE x.cpp)"),
        (".gitignore", "pkg/_made.py"),
        (".gitignore", "_made.*"),
        ("pkg/.gitignore", "/_made.py"),
    ],
)  # fmt: skip
def test_what_a_build_declares_exists(path: str, text: str) -> None:
    assert subjects("from pkg._made import x\nfrom pkg import _gone", {path: text}) == ["pkg._gone"]


@pytest.mark.parametrize(
    "text",
    ["pkg/", "!pkg/_made.py", "# pkg/_made.py", "*.pyc", "other/_made.py", "_mad", "[z-a]", "!", "/", "**/"],
)
def test_patterns_that_say_nothing_about_a_module(text: str) -> None:
    assert subjects("from pkg._made import x", {".gitignore": text}) == ["pkg._made"]


def test_a_package_that_looks_for_its_parts_elsewhere_may_have_any() -> None:
    for init in (
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)",
        "__path__.append('x')",
        "__path__ += more",
        "__path__[:] = more",
        "import pkg_resources\npkg_resources.declare_namespace(__name__)",
    ):
        assert subjects("import pkg.any\nfrom pkg import one", {"pkg/__init__.py": init}) == []


NAMESPACE = {
    "src/acme/store/__init__.py": "",
    "src/acme/store/use.py": "import acme.store\nimport acme.auth.keys\nfrom acme import auth, store\n",
}


def in_namespace(files: dict[str, str]) -> list[str]:
    return [subject for _, subject, _ in unresolved(NAMESPACE | files, 'version = 1\nsource_roots = ["src"]')]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[project]\nname = 'acme-store'"),
        ("pyproject.toml", "[project]\nname = 'Acme.Store'"),
        ("pyproject.toml", "[tool.poetry]\nname = 'acme_store'"),
        ("pyproject.toml", "[project]\ndependencies = ['acme-auth[fast] >= 2; python_version > \"3\"']"),
        ("pyproject.toml", "[project.optional-dependencies]\nmore = ['acme-auth-keys']"),
        ("pyproject.toml", "[dependency-groups]\ntest = [{include-group = 'x'}, 'acme.auth']"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nacme-auth = '*'"),
        ("pyproject.toml", "[tool.poetry.group.test.dependencies]\nacme-auth = {version = '2'}"),
        ("setup.cfg", "[metadata]\nname = acme.store"),
        ("setup.cfg", "[options]\ninstall_requires =\n    acme-auth>=2\n    x"),
        ("setup.cfg", "[options.extras_require]\nmore =\n    acme-auth"),
        ("setup.py", "from setuptools import setup\nsetup(name='acme.store')"),
        ("setup.py", "from setuptools import setup\nsetup(install_requires=['acme.auth>=2'])"),
        ("other/pyproject.toml", "[project]\nname = 'acme-other'"),
    ],
)
def test_another_distribution_may_bring_parts_of_a_namespace_package(path: str, text: str) -> None:
    assert in_namespace({path: text}) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "acme-auth"),
        ("pyproject.toml", ""),
        ("pyproject.toml", "[project"),
        ("pyproject.toml", "project = 'acme-store'"),
        ("pyproject.toml", "[project]\nname = 'acme'\ndependencies = ['acme-author', 'acme', 3, '']"),
        ("pyproject.toml", "[project]\nname = 'acmestore'\ndependencies = 'acme-auth'"),
        ("setup.cfg", "[metadata]\nname = acme"),
        ("setup.cfg", "[options"),
        ("setup.py", "setup(name='acme.store')"),
    ],
)
def test_what_nobody_can_bring_is_absent_from_a_namespace_package(path: str, text: str) -> None:
    assert set(in_namespace({path: text})) == {"acme.auth"}


def test_a_package_of_our_own_has_no_parts_elsewhere() -> None:
    project = "[project]\nname = 'acme-store'\ndependencies = ['acme-auth']"
    assert set(in_namespace({"src/acme/__init__.py": "", "pyproject.toml": project})) == {"acme.auth"}


def test_a_folder_inside_a_package_of_our_own_has_no_parts_elsewhere() -> None:
    files = {"pkg/plain/there.py": "", "pyproject.toml": "[project]\nname = 'pkg-plain-gone'"}
    assert subjects("import pkg.plain.there, pkg.plain.gone", files) == ["pkg.plain.gone"]


def test_projects_of_one_repository_share_a_namespace_package() -> None:
    use = "import acme.save.sql\nfrom acme.save.base import x\nfrom acme.save import other\nimport acme.load.base\n"
    files = {
        "libs/store-sql/acme/load/sql/__init__.py": "",
        "libs/store/pyproject.toml": "[project]\nname = 'acme-save'",
        "libs/store/acme/save/base/__init__.py": "",
        "libs/store-sql/pyproject.toml": "[project]\nname = 'acme-save-sql'",
        "libs/store-sql/acme/save/sql/__init__.py": "",
        "libs/store-sql/acme/save/sql/use.py": use,
        "libs/store-sql/acme/save/sql/more.py": "import acme.save.sql.gone\n",
    }
    assert [place for place, _, _ in unresolved(files)] == ["libs/store-sql/acme/save/sql/more.py:1"]


def test_a_plain_module_of_the_name_does_not_hide_a_namespace_package() -> None:
    files = {
        "src/acme/acme.py": "",
        "src/acme/console/__init__.py": "",
        "src/acme/console/use.py": "from acme.core.x import y\nfrom acme.console import use\n",
        "pyproject.toml": "[project]\nname = 'acme'\ndependencies = ['acme-core']\n",
    }
    assert unresolved(files) == []


def test_a_plain_module_with_getattr_may_pose_as_a_package() -> None:
    files = {"pkg/lazy.py": "def __getattr__(n): pass", "pkg/sub/__init__.py": "def __getattr__(n): pass"}
    assert subjects("import pkg.lazy.deeper, pkg.sub.deeper", files) == ["pkg.sub.deeper"]


# --- modules that are put into sys.modules ------------------------------------------------------------------


def test_a_module_that_somebody_installs_exists() -> None:
    files = {"pkg/compat.py": "import sys, io\nsys.modules['pkg.made'] = io"}
    assert subjects("import pkg.made\nfrom pkg.made.deeper import x\nimport pkg.gone", files) == ["pkg.gone"]


def test_a_module_that_installs_its_own_parts_may_have_any() -> None:
    files = {"pkg/six.py": "import sys\nsys.modules[__name__ + '.moves'] = make()"}
    assert subjects("from pkg.six.moves import x", files) == []


@pytest.mark.parametrize(
    "stand_in",
    [
        "import sys\nsys.modules['pkg.gone'] = Mock()",
        "import sys\nsys.modules.setdefault('pkg.gone', Mock())",
        "import sys\nsys.modules.update({'pkg.gone': Mock()})",
        "from unittest.mock import patch\nwith patch.dict('sys.modules', {'pkg.gone': 1}): pass",
        "import sys\nfrom unittest import mock\n@mock.patch.dict(sys.modules, {'pkg.gone': 1})\ndef f(): pass",
        "def test(monkeypatch):\n    import sys\n    sys.modules['pkg.gone'] = 1",
    ],
)
def test_a_stand_in_of_a_test_counts_in_that_file_only(stand_in: str) -> None:
    test = f"{stand_in}\nfrom pkg.gone import x"
    assert unresolved({"tests/test_a.py": test, "use.py": "import pkg.gone"}) == [
        ("use.py:1", "pkg.gone", "import_time")
    ]


def test_a_stand_in_of_a_conftest_counts_below_its_folder() -> None:
    files = {
        "tests/conftest.py": "import sys\nsys.modules['pkg.gone'] = 1",
        "tests/unit/test_a.py": "import pkg.gone",
        "other/test_b.py": "import pkg.gone",
    }
    assert [place for place, _, _ in unresolved(files)] == ["other/test_b.py:1"]


# --- ours, or installed beside us? --------------------------------------------------------------------------


def test_a_folder_without_init_gives_way_to_an_installed_package() -> None:
    files = {"alembic/env.py": "from alembic import context", "docker/build.py": "import docker.errors"}
    assert unresolved(files) == []


def test_a_folder_without_init_counts_when_imports_are_seen_to_arrive() -> None:
    files = {"jobs/one.py": "", "use.py": "from jobs import one\nfrom jobs import gone\nimport jobs.lost"}
    assert [subject for _, subject, _ in unresolved(files)] == ["jobs.gone", "jobs.lost"]


def test_a_file_that_is_named_like_what_it_imports_does_not_import_itself() -> None:
    files = {
        "tests/fixtures/docker.py": "import docker\nfrom docker.errors import APIError\nfrom docker import x"
    }
    assert unresolved(files) == []


def test_an_example_named_like_the_package_that_it_shows() -> None:
    files = {
        "examples/pydantic/__init__.py": "",
        "examples/pydantic/tasks.py": "from pydantic import BaseModel",
    }
    assert unresolved(files) == []


def test_what_lies_beside_a_script_counts_when_imports_are_seen_to_arrive() -> None:
    files = {
        "tools/shared.py": "x = 1",
        "tools/a.py": "from shared import x, gone",
        "tools/redis.py": "y = 1",
        "tools/b.py": "import redis\nredis.Redis()\nfrom redis.client import Pipeline",
        "tools/c.py": "import only_plain\nonly_plain.x",
        "tools/only_plain.py": "x = 1",
        "tools/d.py": "from only_plain import gone",
    }
    assert [(p, s) for p, s, _ in unresolved(files)] == [
        ("tools/a.py:1", "tools.shared.gone"),
        ("tools/d.py:1", "tools.only_plain.gone"),
    ]


def test_names_of_the_standard_library_are_ours_only_where_they_arrive() -> None:
    files = {
        "calendar/__init__.py": "",
        "calendar/models.py": "x = 1",
        "use.py": "from calendar import monthrange\nimport calendar.models\nfrom calendar.models import x, gone",
    }
    assert [subject for _, subject, _ in unresolved(files)] == ["calendar.models.gone"]


def test_a_name_in_one_of_several_places_is_enough() -> None:
    files = {
        "tests/support.py": "one = 1",
        "support.py": "other = 1",
        "tests/test_a.py": "from support import one\nfrom support import other\nfrom support import gone",
    }
    assert [subject for _, subject, _ in unresolved(files)] == ["tests.support.gone"]


# --- projects in a repository -------------------------------------------------------------------------------


def test_a_project_file_makes_its_folder_and_src_roots() -> None:
    files = {
        "services/shop/pyproject.toml": "",
        "services/shop/src/shop/__init__.py": "",
        "services/shop/src/shop/core.py": "x = 1",
        "services/shop/tests/unit/test_core.py": "from shop.core import x, gone",
        "services/mail/manage.py": "",
        "services/mail/letters/__init__.py": "",
        "services/mail/letters/box.py": "",
        "services/mail/apps/one/views.py": "from letters import box, gone",
    }
    assert [(p, s) for p, s, _ in unresolved(files)] == [
        ("services/mail/apps/one/views.py:1", "letters.gone"),
        ("services/shop/tests/unit/test_core.py:1", "shop.core.gone"),
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = ['python/lib']"),
        ("pyproject.toml", "[tool.setuptools.packages.find]\nwhere = ['python/lib']"),
        ("pyproject.toml", "[tool.setuptools.package-dir]\n'' = 'python/lib'"),
        ("pyproject.toml", "[[tool.poetry.packages]]\ninclude = 'shop'\nfrom = './python/lib/'"),
        ("pyproject.toml", "[tool.hatch.build.targets.wheel]\npackages = ['python/lib/shop']"),
        ("python/pyproject.toml", "[tool.maturin]\npython-source = 'lib'"),
        ("setup.cfg", "[options]\npackage_dir =\n    = python/lib"),
        ("setup.cfg", "[options.packages.find]\nwhere = python/lib"),
        ("pytest.ini", "[pytest]\npythonpath = . python/lib"),
        ("tox.ini", "[pytest]\npythonpath = python/lib"),
    ],
)
def test_roots_that_project_files_declare(path: str, text: str) -> None:
    files = {
        path: text,
        "python/lib/shop/__init__.py": "",
        "python/lib/shop/core.py": "x = 1",
        "python/checks/test_core.py": "from shop.core import x, gone",
    }
    assert [subject for _, subject, _ in unresolved(files)] == ["shop.core.gone"]


@pytest.mark.parametrize(
    "text", ["[tool", "tool = 3", "[tool.pytest.ini_options]\npythonpath = 3", "[x]\n[x"]
)
def test_project_files_that_say_nothing_usable_are_passed_over(text: str) -> None:
    files = {"pyproject.toml": text, "setup.cfg": text, "pytest.ini": text}
    assert subjects("import pkg.there, pkg.gone", files) == ["pkg.gone"]


def test_a_conftest_puts_its_folder_on_the_path() -> None:
    files = {
        "checks/conftest.py": "",
        "checks/support/__init__.py": "",
        "checks/support/tools.py": "x = 1",
        "checks/unit/test_a.py": "from support.tools import x, gone",
    }
    assert [subject for _, subject, _ in unresolved(files)] == ["checks.support.tools.gone"]


def test_two_projects_with_a_package_of_one_name_are_named_apart() -> None:
    files = {
        "a/pyproject.toml": "",
        "a/app/__init__.py": "",
        "a/app/core.py": "from app import one, gone",
        "a/app/one.py": "",
        "b/pyproject.toml": "",
        "b/app/__init__.py": "",
        "b/app/core.py": "from app import two, one, gone",
        "b/app/two.py": "",
    }
    assert [subject for _, subject, _ in unresolved(files)] == ["a.app.gone", "b.app.one", "b.app.gone"]


def test_the_same_module_from_other_levels_is_another_one() -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/one.py": "x = 1",
        "pkg/sub/__init__.py": "",
        "pkg/sub/one.py": "y = 1",
        "pkg/sub/use.py": "from .one import y, x\nfrom ..one import x, y\n",
    }
    assert [(place, subject) for _, place, subject, _ in found(files, "unresolved-import")] == [
        ("pkg/sub/use.py:1", "pkg.sub.one.x"),
        ("pkg/sub/use.py:2", "pkg.one.y"),
    ]
