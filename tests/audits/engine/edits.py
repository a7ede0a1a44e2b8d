"""Trees of Python files, and what can be done to them: for all that says of a changed tree what a full audit says."""

from collections.abc import Mapping

from hypothesis import strategies as st

KIND = "import enum\nclass Kind(enum.Enum):\n    RED = 1\n    BLUE = 2\n"

WRONG = "from app.one import lost\n"
# What can change what is found in a file that itself stays: the files before, and those that come.
REACHES = {
    "a name is bound": ({"app/one.py": "", "use.py": WRONG}, {"app/one.py": "lost = 1\n"}),
    "a name is bound behind a star": (
        {"app/one.py": "from app.two import *\n", "app/two.py": "", "use.py": WRONG},
        {"app/two.py": "lost = 1\n"},
    ),
    "a member comes": (
        {
            "kinds.py": KIND,
            "sub.py": "from kinds import Kind\n",
            "use.py": "from sub import Kind\nKind.GREEN\n",
        },
        {"kinds.py": KIND + "    GREEN = 3\n"},
    ),
    "a module comes": (
        {"app/two.py": "", "use.py": "import app.two\nimport app.one\n"},
        {"app/one.py": ""},
    ),
    "a folder with Python comes": (
        {"app/__init__.py": "", "use.py": "from app import part\n"},
        {"app/part/deep/one.py": ""},
    ),
    "a folder becomes a package": (
        {"app/one.py": "x = 1\n", "app/use.py": "from one import x, lost\n"},
        {"app/__init__.py": ""},
    ),
    "a folder that is imported from becomes a package": (
        {"app/one.py": "", "app/use.py": "from . import one, lost\n"},
        {"app/__init__.py": "def __getattr__(name): return 1\n"},
    ),
    "a module is seen to be ours": (
        {"app/one.py": "", "use.py": "import app.gone\n"},
        {"other.py": "import app.one\n"},
    ),
    "a module is completed from outside": (
        {"app/one.py": "", "use.py": WRONG},
        {"other.py": "import app.one\napp.one.lost = 1\n"},
    ),
    "a module is installed": (
        {"app/two.py": "", "use.py": "import app.two\nimport app.one\n"},
        {"other.py": "import sys\nsys.modules['app.one'] = object()\n"},
    ),
    "a module is ignored by git": (
        {"app/two.py": "", "use.py": "import app.two\nimport app.one\n"},
        {".gitignore": "one.py\n"},
    ),
    "an ignored folder is tracked": (
        {
            "app/two.py": "",
            "app/made/deep/one.py": "",
            ".gitignore": "made/\n",
            "use.py": "import app.two\nimport app.made.one\n",
        },
        {"app/made/two.py": ""},
    ),
    "a module is compiled": (
        {"app/two.py": "", "use.py": "import app.two\nimport app.one\n"},
        {
            "tools/setup.py": "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('app.one', [])])\n"
        },
    ),
    "a stub comes": ({"app/two.py": "", "use.py": "import app.two\nimport app.one\n"}, {"app/one.pyi": ""}),
    "a project has a root of its own": (
        {"sub/lib/app/__init__.py": "x = 1\n", "use.py": "from app import x, lost\n"},
        {"sub/pyproject.toml": "[tool.setuptools.package-dir]\n'' = 'lib'\n"},
    ),
    "a project shares its package with others": (
        {
            "acme/one/__init__.py": "",
            "use.py": "import acme.one\nimport acme.gone\nfrom acme import lost\n",
            "pyproject.toml": "[project]\nname = 'one'\n",
        },
        {"pyproject.toml": "[project]\nname = 'acme-one'\n"},
    ),
    "a project that shares its package begins elsewhere": (
        {
            "sub/acme/one/__init__.py": "",
            "use.py": "import sub.acme.one\nimport sub.acme.gone\nfrom sub.acme import lost\n",
            "pyproject.toml": "[project]\nname = 'acme-one'\n",
        },
        {"sub/setup.cfg": ""},
    ),
    "a package that is shared with others becomes our own": (
        {
            "acme/one/__init__.py": "",
            "use.py": "import acme.one\nimport acme.gone\n",
            "pyproject.toml": "[project]\ndependencies = ['acme.gone > 1']\n",
        },
        {"acme/__init__.py": ""},
    ),
    "a folder is a root for those in it": (
        {"t/one.py": "x = 1\n", "t/deep/use.py": "from one import x, lost\n"},
        {"t/conftest.py": ""},
    ),
    "a package that had a stub alone gets a text": (
        {"app/__init__.pyi": "", "app/use.py": "from . import lost\n"},
        {"app/__init__.py": "lost = 1\n"},
    ),
    "a package that had a stub alone gets a text, seen from beneath": (
        {"app/__init__.pyi": "", "app/sub/use.py": "from ..lost import x\n"},
        {"app/__init__.py": "import sys\nsys.modules[f'{__name__}.{1}'] = None\n"},
    ),
    "a module that is completed from outside is seen to be ours": (
        {"app/one.py": "", "put.py": "import app.gone\napp.lost = 1\n", "use.py": "from app import lost\n"},
        {"other.py": "import app.two\n", "app/two.py": ""},
    ),
    "a declared root gets its first module": (
        {"t/pytest.ini": "[pytest]\npythonpath = lib\n", "t/use.py": "from one import x, lost\n"},
        {"t/lib/one.py": "x = 1\n"},
    ),
    "a root gives modules other names": (
        {
            "lib/pkg/__init__.py": "",
            "lib/pkg/kinds.py": KIND,
            "lib/pkg/use.py": "from .kinds import Kind\nKind.GREEN\n",
        },
        {"pyproject.toml": "[tool.setuptools.package-dir]\n'' = 'lib'\n"},
    ),
    "a plain folder comes": ({"use.py": "import app.one\nimport app.gone\n"}, {"app/one.py": ""}),
    "a module is read through what imports it": (
        {"app/one.py": "", "other.py": "import app\n", "use.py": "import app.gone\n"},
        {"other.py": "import app\napp.one\n"},
    ),
    "the whole tree becomes a package": ({"use.py": "from . import lost\n"}, {"__init__.py": ""}),
    "a definition moves": (
        {"kinds.py": KIND, "use.py": "from kinds import Kind\nKind.GREEN\n"},
        {"kinds.py": "\n\n" + KIND},
    ),
}

# --- any edits ---

PATHS = (
    "a.py",
    "conftest.py",
    "pkg/__init__.py",
    "pkg/a.py",
    "pkg/b.py",
    "pkg/sub/__init__.py",
    "pkg/sub/c.py",
    "pkg/sub/d/e.py",
    "lib/pkg/__init__.py",
    "lib/pkg/a.py",
    "lib/one.py",
    "setup.py",
    "use.py",
    "tests/__init__.py",
    "tests/test_x.py",
    "tests/test_y.py",
)
SOURCES = (
    KIND,
    KIND + "    GREEN = 3\n",
    "\n\n" + KIND,
    "from pkg.a import lost\n",
    "from pkg.b import lost\nimport pkg.one\nfrom pkg.sub.use import x\n",
    "lost = 1\n",
    "LOST = 1\nlOST = 2\n",
    "lOST = 2\nLOST = 1\n",
    KIND.replace("RED", "ROT") + "class Other(Kind.__class__): pass\n",
    "import enum\nclass Base(enum.Enum):\n    def f(self): pass\nclass Kind(Base):\n    RED = 1\n",
    f"{KIND}if x:\n    class Kind(enum.Enum):\n        RED = 1\nelse:\n    class Kind(Kind):\n        pass\n",
    "import enum\nif x:\n    class Kind(enum.Enum): RED = 1\nelse:\n    class Kind(enum.Enum): BLUE = 2\n",
    f"{KIND}try:\n    from pkg.a import Kind\nexcept ImportError:\n    from pkg.b import Kind\n",
    "from pkg.a import Kind\nKind.BLUE\n",
    "from pkg.a import Kind\nKind.RED, Kind['RED']\n",
    "from pkg.b import *\nKind.RED\n",
    "from pkg.b import *\nfrom pkg.a import *\n__all__ = ['Kind']\n",
    "from .a import Kind\n",
    "from . import a, b\nb.Kind.BLUE\n",
    "from .. import a\nfrom ..b import Kind\nKind.RED\n",
    "from pkg import Kind, a\na.Kind.BLUE; Kind['GREEN']\n",
    "import pkg.a as m\nm.Kind.RED, m.Nothing\n",
    "import pkg.a as m\nm.Kind.RED\nm.Kind.BLUE = 3\n",
    "import pkg.a\npkg.a.extra = 1\nsetattr(pkg.a.Kind, str(1), 2)\n",
    "from pkg.a import extra\n",
    "from pkg.sub.c import Kind\nfrom pkg.sub import c, d\nKind.RED\n",
    "import pkg.sub.d.e\npkg.sub.d.e.Kind.RED\n",
    "try:\n    from pkg.a import Kind\nexcept ImportError:\n    from pkg.b import Kind\nKind.BLUE\n",
    "from pkg.b import Kind as K\nKind = K\nclass Mine(Kind): pass\nMine.RED\n",
    "def __getattr__(name): return 1\n",
    "import sys\nsys.modules['pkg.b'] = None\n",
    "import use\nuse.Kind.BLUE\nimport pkg.b.deep\n",
    "import one\nfrom one import Kind\nKind.RED\n",
    "import a\na.Kind.RED\nfrom a import b\n",
    "from tests import test_x\nfrom tests.test_x import Kind\nKind.RED\n",
    "from setuptools import setup, Extension\nsetup(ext_modules=[Extension('pkg.b', ['b.c'])])\n",
    "from pkg import b, made\nfrom pkg.made import x\n",
    "class (:\n",
    "x = 1\n",
    "",
)
BESIDE = {
    "pyproject.toml": (
        "[tool.pytest.ini_options]\npythonpath = ['pkg']\n",
        "[tool.setuptools.package-dir]\n'' = 'lib'\n",
        "[project]\nname = 'tests-x'\ndependencies = ['pkg-one']\n",
        "",
    ),
    "pkg/.gitignore": ("made.py\n", "b.py\n", "sub/\n"),
    "pkg/b.pyi": ("",),
    "pkg/__init__.pyi": ("",),
    "pkg/made.pyx": ("",),
    "pkg/made.proto": ("",),
    "__init__.py": ("", "from . import a\n"),
    "pkg/sub/.keep": ("",),
    "README.md": ("Hello", "Bye"),
}
# What stands there before any edit: names that lead to each other, and findings with hints of all kinds.
BASE = {
    "pkg/__init__.py": "from pkg.a import Kind\n",
    "pkg/a.py": KIND,
    "pkg/b.py": "from pkg.a import *\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/c.py": "from ..b import Kind\nKind.GREEN\nKind.RED\n",
    "lib/one.py": "x = 1\n",
    "use.py": "from pkg.a import lost\nfrom pkg import Kind, sub, made\nimport pkg.one\nKind.LAST, Kind.BLEU\n",
    "tests/test_x.py": "import one\nfrom one import Kind\nfrom pkg.a import Kind as K\nK.RED, K.BLUE, K['MAUVE']\n",
}
# What is put before the text that a file has.
AHEAD = (
    "\n\n",
    "lost = 1\n",
    "LOST = 1\n",
    "class Kind:\n    LAST = 1\n",
    "import enum\nclass Kind(enum.Enum):\n    GREEN = 3\n",
    "class Above:\n    class Kind: pass\n",
    "import enum\n",
    "x = 2\n",
)
EDIT = st.one_of(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(AHEAD)),
    st.tuples(st.sampled_from(PATHS), st.sampled_from(SOURCES)),
    st.tuples(st.sampled_from(PATHS), st.none()),
    st.sampled_from(sorted(BESIDE)).flatmap(
        lambda path: st.tuples(st.just(path), st.one_of(st.none(), st.sampled_from(BESIDE[path])))
    ),
    st.tuples(st.sampled_from(PATHS), st.sampled_from(PATHS)),  # a rename
)


def edited(files: Mapping[str, str], edits: list[tuple[str, str | None]]) -> dict[str, str]:
    result = dict(files)
    for path, text in edits:
        if text is None:
            result.pop(path, None)
        elif text in PATHS:
            if path in result:
                result[text] = result.pop(path)
        elif text in AHEAD:
            result[path] = text + result.get(path, "")
        else:
            result[path] = text
    return result
