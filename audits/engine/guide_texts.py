"""The examples of the rules, as sources. ``guides`` runs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    """Sources by path, and tables of a policy (empty: those of the rule's main example)."""

    words: str
    files: Mapping[str, str]
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Main:
    """The main example of a rule. ``mended`` are the files that mending changes, ``mended_policy`` the policy then."""

    words: str
    files: Mapping[str, str]
    mended_words: str
    mended: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""
    mended_policy: str = ""


_IDS = """\
from enum import Enum


class IDType(Enum):
    USER = "user"
    RUN = "run"
"""
_IDS_USE = """\
from shop.ids import IDType


def open_thread():
    return IDType.THREAD
"""
_PACKAGE = {"shop/__init__.py": ""}

MAIN = {
    "missing-member": Main(
        "A tracker says that threads were added to the enum. They were not.",
        {**_PACKAGE, "shop/ids.py": _IDS, "shop/threads.py": _IDS_USE},
        "The member is added where it belongs.",
        {"shop/ids.py": _IDS + '    THREAD = "thread"\n'},
    ),
    "unresolved-import": Main(
        "The settings moved; one import still names the old place.",
        {
            **_PACKAGE,
            "shop/core/__init__.py": "",
            "shop/core/settings.py": "def load(name): ...\n",
            "shop/orders.py": "from shop.settings import load\n\nRATE = load('rate')\n",
        },
        "The import names where it lives now.",
        {"shop/orders.py": "from shop.core.settings import load\n\nRATE = load('rate')\n"},
    ),
    "unparseable": Main(
        "A merge was committed with its conflict in it.",
        {
            "shop/prices.py": "def price(order):\n<<<<<<< HEAD\n    return order.net\n=======\n"
            "    return order.gross\n>>>>>>> tax\n"
        },
        "One side is chosen.",
        {"shop/prices.py": "def price(order):\n    return order.gross\n"},
    ),
    "unique-definition": Main(
        "A second class took the name of the canonical one.",
        {
            **_PACKAGE,
            "shop/connections.py": "class ConnectionManager:\n    def open(self): ...\n",
            "shop/sockets.py": "class ConnectionManager:\n    def connect(self): ...\n",
        },
        "It is imported instead.",
        {"shop/sockets.py": "from shop.connections import ConnectionManager\n"},
        '[[unique]]\nsymbol = "shop.connections.ConnectionManager"\n',
    ),
    "name-family": Main(
        "Execution engines multiply: each team names its own.",
        {
            **_PACKAGE,
            "shop/engine.py": "class ExecutionEngine: ...\n",
            "shop/legacy.py": "class FastExecutionEngine: ...\n\n\nclass ExecutionEngineFactory: ...\n",
        },
        "The owner is used; what makes it is an owner of its own.",
        {
            "shop/legacy.py": "from shop.engine import ExecutionEngine\n\n\nclass ExecutionEngineFactory: ...\n"
        },
        '[[family]]\nname = "execution engines"\npattern = ".*ExecutionEngine(Factory)?"\n'
        'owners = ["shop.engine.ExecutionEngine"]\n',
        '[[family]]\nname = "execution engines"\npattern = ".*ExecutionEngine(Factory)?"\n'
        'owners = ["shop.engine.ExecutionEngine", "shop.legacy.ExecutionEngineFactory"]\n',
    ),
    "forbidden-reference": Main(
        "The environment is read past the settings, once under another name.",
        {
            **_PACKAGE,
            "shop/settings.py": "import os\n\n\ndef load(name):\n    return os.environ[name]\n",
            "shop/mail.py": "import os as system\nfrom os import environ\n\n"
            "HOST = environ['MAIL_HOST']\nPORT = system.environ.get('MAIL_PORT')\n",
        },
        "The canonical service is asked.",
        {
            "shop/mail.py": "from shop.settings import load\n\nHOST = load('MAIL_HOST')\nPORT = load('MAIL_PORT')\n"
        },
        '[[forbidden]]\nsymbol = "os.environ"\ninstead = "shop.settings.load"\nallow = ["shop/settings.py"]\n',
    ),
    "deprecated-symbol": Main(
        "A module is replaced, and its users move one by one.",
        {
            **_PACKAGE,
            "shop/old_log.py": "def get_logger(name): ...\n",
            "shop/logs.py": "def logger_for(name): ...\n",
            "shop/orders.py": "from shop.old_log import get_logger\n\nlog = get_logger('orders')\n",
            "shop/users.py": "from shop.logs import logger_for\n\nlog = logger_for('users')\n",
        },
        "The last user has moved.",
        {"shop/orders.py": "from shop.logs import logger_for\n\nlog = logger_for('orders')\n"},
        '[[deprecated]]\nold = "shop.old_log"\nnew = "shop.logs"\ndeadline = 2026-12-31\n',
    ),
    "required-base": Main(
        "A test goes around the base that isolates the environment, and mocks what it should try.",
        {
            "shared/__init__.py": "",
            "shared/base.py": "import unittest\n\n\nclass SafeTestCase(unittest.TestCase): ...\n",
            "tests/test_orders.py": "from unittest import TestCase\nfrom unittest.mock import Mock\n\n\n"
            "class TestOrders(TestCase):\n    def test_total(self):\n        assert Mock().total == 3\n",
        },
        "It inherits the base and uses the real thing.",
        {
            "tests/test_orders.py": "from shared.base import SafeTestCase\n\n\nclass TestOrders(SafeTestCase):\n"
            "    def test_total(self):\n        assert Order(3).total == 3\n",
        },
        '[[base]]\nbase = "shared.base.SafeTestCase"\nforbid = ["unittest.mock.Mock"]\n',
    ),
    "literal": Main(
        "The name of a queue is written out beside its owner.",
        {
            **_PACKAGE,
            "shop/queues.py": 'ORDERS = "orders-v2"\n',
            "shop/worker.py": 'def consume(broker):\n    return broker.take("orders-v2")\n',
        },
        "The owner is imported.",
        {
            "shop/worker.py": "from shop.queues import ORDERS\n\n\n"
            "def consume(broker):\n    return broker.take(ORDERS)\n"
        },
        '[[literal]]\nvalue = "orders-v2"\nowner = "shop.queues.ORDERS"\n',
    ),
    "registry-drift": Main(
        "The registry has the ID types user, run and, retired, batch. The enum in the code says otherwise.",
        {
            **_PACKAGE,
            "shop/ids.py": "from enum import Enum\n\n\nclass IDType(Enum):\n"
            '    USER = "user"\n    BATCH = "batch"\n    TRACE = "trace"\n',
        },
        "The enum is what the registry's export writes.",
        {"shop/ids.py": _IDS},
        '[[registry]]\nenum = "shop.ids.IDType"\n',
    ),
}

CASES: Mapping[str, tuple[Case, ...]] = {
    "missing-member": (
        Case(
            "Two enums share a name; which one is meant is said by the import, through any number of re-exports.",
            {
                "a/__init__.py": "from a.kinds import *\n",
                "a/kinds.py": "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n",
                "b/__init__.py": "",
                "b/kinds.py": "from enum import Enum\nclass Kind(Enum):\n    BLUE = 1\n",
                "use.py": "from a import Kind\nfrom b import kinds\n\nKind.RED, Kind.BLUE, kinds.Kind.BLUE\n",
            },
        ),
        Case(
            "Where a fallback leaves two candidates, a member that one of them lacks is possible, one that both lack"
            " is certain.",
            {
                "new.py": "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n    BLUE = 2\n",
                "old.py": "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n",
                "use.py": "try:\n    from new import Kind\nexcept ImportError:\n    from old import Kind\n\n\n"
                "def f():\n    return Kind.RED, Kind.BLUE, Kind.GREEN\n",
            },
        ),
        Case(
            "A subscript counts, ``getattr`` and ``hasattr`` don't; an error that would be caught is an annotation.",
            {
                "ids.py": "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n",
                "use.py": "from ids import Kind\n\n\ndef f():\n    getattr(Kind, 'BLUE', None)\n    Kind['BLUE']\n"
                "    try:\n        return Kind.BLUE\n    except AttributeError:\n        return None\n",
            },
        ),
        Case(
            "Methods, mixins, ``_ignore_``, aliases and what every member has are no missing members; of an enum whose"
            " members the text doesn't tell, nothing is said.",
            {
                "ids.py": "from enum import Enum\n\n\nclass Named:\n    label = 'x'\n\n\n"
                "class Kind(Named, Enum):\n    RED = 1\n    ROUGE = RED\n\n    @property\n"
                "    def shade(self): ...\n\n\nclass Open(Enum):\n"
                "    for name in 'abc':\n        locals()[name] = name\n",
                "use.py": "from ids import Kind, Open\n\nKind.ROUGE, Kind.RED.value, Kind.RED.shade, Kind.label,"
                " Kind.__members__, Open.a\n",
            },
        ),
        Case(
            "Monkeypatched members exist; a name that nothing binds is no missing member but Python's ``NameError``,"
            " which linters report.",
            {
                "ids.py": "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n",
                "use.py": "import ids\n\nids.Kind.BLUE = ids.Kind.RED\nprint(ids.Kind.BLUE)\nprint(Kind.GREEN)\n",
            },
        ),
    ),
    "unresolved-import": (
        Case(
            "A guard is an annotation: what it guards has been dead since the module went.",
            {
                "shop/__init__.py": "",
                "shop/use.py": "try:\n    from shop.fast import run\nexcept ImportError:\n    run = None\n",
            },
        ),
        Case(
            "Installed packages aren't looked at; a folder without Python is none of ours.",
            {"shop/__init__.py": "", "shop/use.py": "import numpy\nfrom docker.errors import X\n"},
        ),
        Case(
            "A folder without ``__init__`` may have parts in other distributions, as the name of this one says.",
            {
                "pyproject.toml": "[project]\nname = 'acme-shop'\n",
                "acme/shop/__init__.py": "",
                "acme/shop/use.py": "import acme.shop\nfrom acme import auth\nimport acme.shop.gone\n",
            },
        ),
        Case(
            "A name that a star import or ``__getattr__`` may bring exists.",
            {
                "shop/__init__.py": "",
                "shop/lazy.py": "def __getattr__(name): ...\n",
                "shop/use.py": "from shop.lazy import anything\nfrom shop import lazy, absent\n",
            },
        ),
    ),
    "unparseable": (
        Case(
            "Syntax newer than the Python that runs the audit is no finding: a native parser reads it, or it is"
            " listed as a problem.",
            {"shop/new.py": "type Names = list[str]\n"},
        ),
    ),
    "unique-definition": (
        Case(
            "A re-export and another name for the owner aren't definitions; a function or a value of the name is one.",
            {
                "shop/__init__.py": "from shop.connections import ConnectionManager\n",
                "shop/connections.py": "class ConnectionManager: ...\n",
                "shop/a.py": "from shop.connections import ConnectionManager as Base\n\nConnectionManager = Base\n",
                "shop/b.py": "def ConnectionManager(): ...\n",
                "shop/c.py": "def f():\n    class ConnectionManager: ...\n",
            },
        ),
        Case(
            "``allow`` names paths that may have one of their own.",
            {
                "shop/connections.py": "class ConnectionManager: ...\n",
                "plugins/x.py": "class ConnectionManager: ...\n",
            },
            '[[unique]]\nsymbol = "shop.connections.ConnectionManager"\nallow = ["plugins/**"]\n',
        ),
    ),
    "name-family": (
        Case(
            "The whole name has to match, nested classes count, and so does a subclass of an owner.",
            {
                "shop/engine.py": "class ExecutionEngine: ...\n",
                "shop/more.py": "from shop.engine import ExecutionEngine\n\n\n"
                "class ExecutionEngineError(Exception): ...\n"
                "\n\nclass Outer:\n    class SlowExecutionEngine(ExecutionEngine): ...\n",
            },
        ),
    ),
    "forbidden-reference": (
        Case(
            "An import that the file doesn't use hands the symbol on, so it counts; comments and strings never do.",
            {
                "shop/settings.py": "import os\nx = os.environ\n",
                "shop/shim.py": "from os import environ\n",
                "shop/use.py": "from shop.shim import environ\n\n# os.environ\nprint('os.environ', environ)\n",
            },
        ),
        Case(
            "A builtin is named with its module.",
            {"shop/cli.py": "print('hello')\n", "shop/own.py": "def print(x): ...\n\n\nprint(1)\n"},
            '[[forbidden]]\nsymbol = "builtins.print"\ninstead = "logging"\n',
        ),
    ),
    "deprecated-symbol": (
        Case(
            "What follows from a direct import isn't counted again, a use through the module is; the deprecated module"
            " itself may use its own.",
            {
                "shop/__init__.py": "",
                "shop/old_log.py": "def get_logger(name): ...\n\n\nroot = get_logger('')\n",
                "shop/a.py": "from shop.old_log import get_logger\n\nget_logger('a')\nget_logger('b')\n",
                "shop/b.py": "import shop.old_log\n\nshop.old_log.get_logger('a')\n",
            },
        ),
    ),
    "required-base": (
        Case(
            "The base counts at any depth, and a class from outside of the tree doesn't have it; where the text doesn't"
            " tell what a class inherits from, the finding is only possible.",
            {
                "shared/base.py": "class SafeTestCase: ...\n",
                "tests/test_a.py": "from shared.base import SafeTestCase\n\n\nclass Middle(SafeTestCase): ...\n\n\n"
                "class TestA(Middle): ...\n",
                "tests/test_b.py": "from unittest import TestCase\n\n\nclass TestB(TestCase): ...\n\n\n"
                "class TestC(made()): ...\n",
            },
        ),
    ),
    "literal": (
        Case(
            "Only whole values count: no part of a longer string, no docstring, no text of an f-string.",
            {
                "shop/queues.py": 'ORDERS = "orders-v2"\n',
                "shop/a.py": '"""orders-v2"""\n\nx = "orders-v2-test"\ny = f"orders-v2{x}"\nz = ["orders-v2"]\n',
            },
        ),
    ),
    "registry-drift": (
        Case(
            "Members whose value isn't a plain string can't be compared.",
            {
                "shop/ids.py": "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n    RUN = 'run'\n"
                "    OTHER = make()\n"
            },
        ),
    ),
}
