"""What single expressions and statements say to somebody who knows Python's idioms. Pure functions of syntax nodes."""

import ast
import re
from collections.abc import Iterator, Sequence

from audits.engine.facts import GUARD_ATTRIBUTE, GUARD_IMPORT, GUARD_KEY

ALL_GUARDS = GUARD_ATTRIBUTE | GUARD_KEY | GUARD_IMPORT
COMPOUND = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.Match,
)
_GUARDS = {
    "AttributeError": GUARD_ATTRIBUTE,
    "KeyError": GUARD_KEY,
    "LookupError": GUARD_KEY,
    "ImportError": GUARD_IMPORT,
    "ModuleNotFoundError": GUARD_IMPORT,
    "Exception": ALL_GUARDS,
    "BaseException": ALL_GUARDS,
}
_GUARDING_CALLS = {"suppress", "raises", "assertRaises", "assertRaisesRegex"}
# Functions that change nothing that they are given.
_HARMLESS = frozenset(
    {
        "all",
        "any",
        "dict",
        "enumerate",
        "frozenset",
        "isinstance",
        "iter",
        "len",
        "list",
        "map",
        "print",
        "set",
        "sorted",
    }
    | {"tuple", "zip"}
)
_NAMESPACES = {"globals", "locals", "vars"}
_READING = {"copy", "get", "items", "keys", "values"}
# Calls that don't come back: they end the program, or a test.
_EXITS = {"_exit", "exit", "quit"}
_TEST_EXITS = {"fail", "skip", "skipTest", "xfail"}
# What a condition asks when its branches are for some platforms, versions or installations only.
_ENVIRONMENT = {
    "os": {"name"},
    "sys": {"hexversion", "implementation", "platform", "version", "version_info"},
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ENVIRONMENT_NAME = re.compile(
    r"__version__|_?(?:PY\d*|HAS_\w+|HAVE_\w+|\w+_AVAILABLE|[A-Z_]*VERSION(?:_INFO)?"
    r"|(?:IS_|ON_)?(?:PYPY|CPYTHON|WIN|WINDOWS|LINUX|DARWIN|MACOS|OSX|POSIX)\d*)"
)

Chain = tuple[str, tuple[str, ...]]


def chain_of(node: ast.AST) -> Chain | None:
    """``a.b.c`` as ("a", ("b", "c")), None for anything whose root isn't a name."""
    attributes = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        attributes.reverse()
        return node.id, tuple(attributes)
    return None


def last_name(node: ast.AST) -> str:
    """The last name of a dotted expression, "" when the node isn't one."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.AST | None) -> str | None:
    """The value of a string constant; None as well when it is no text that can be written down."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    return node.value if node.value.isascii() or _SURROGATE.search(node.value) is None else None


def texts_of(node: ast.expr) -> list[str] | None:
    """The strings of a list, tuple or set display, or of one string split at blanks; None when it holds others."""
    text = text_of(node)
    if text is not None:
        return text.split()
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    values = [text for item in node.elts if (text := text_of(item)) is not None]
    return values if len(values) == len(node.elts) else None


def stored_names(target: ast.AST) -> Iterator[str]:
    """The names that an assignment target binds."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def arguments_of(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from arguments.posonlyargs
    yield from arguments.args
    if arguments.vararg:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg:
        yield arguments.kwarg


# --- conditions ------------------------------------------------------------------------------------------------------


def is_never_run(test: ast.expr) -> bool:
    """``TYPE_CHECKING``, alone or joined by ``and``; ``False`` and ``0``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(is_never_run(value) for value in test.values)
    if isinstance(test, ast.Constant):
        return not test.value
    return last_name(test) == "TYPE_CHECKING"


def is_main_check(test: ast.expr) -> bool:
    """``__name__ == "__main__"``"""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def asks_environment(test: ast.expr) -> bool:
    """Whether the outcome depends on the platform, a version or what is installed."""
    for node in ast.walk(test):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            root = node.value.id
            if root == "platform" or node.attr in _ENVIRONMENT.get(root, ()):
                return True
        name = last_name(node)
        if name and _ENVIRONMENT_NAME.fullmatch(name):
            return True
    return False


def asked_chains(test: ast.expr) -> tuple[Chain, ...]:
    """The chains E.X that exist when the test holds.

    ``hasattr(E, "X")``, ``getattr(E, "X", None)``, ``"X" in E.__members__``, ``"X" in dir(E)``; alone or joined by
    ``and``.
    """
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return tuple(chain for value in test.values for chain in asked_chains(value))
    if isinstance(test, ast.Call):
        if isinstance(test.func, ast.Name) and test.func.id in {"getattr", "hasattr"} and len(test.args) > 1:
            return _extended(chain_of(test.args[0]), text_of(test.args[1]))
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        if isinstance(test.ops[0], ast.IsNot):
            return asked_chains(test.left)
        if isinstance(test.ops[0], ast.In):
            return _extended(_owner_of_names(test.comparators[0]), text_of(test.left))
    return ()


def denied_chains(test: ast.expr) -> tuple[Chain, ...]:
    """The chains E.X that exist when the test does not hold: ``not hasattr(E, "X")``, alone or joined by ``or``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return tuple(chain for value in test.values for chain in denied_chains(value))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return asked_chains(test.operand)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        if isinstance(test.ops[0], ast.Is):
            return asked_chains(test.left)
        if isinstance(test.ops[0], ast.NotIn):
            return _extended(_owner_of_names(test.comparators[0]), text_of(test.left))
    return ()


def _extended(chain: Chain | None, name: str | None) -> tuple[Chain, ...]:
    return ((chain[0], (*chain[1], name)),) if chain is not None and name is not None else ()


def _owner_of_names(node: ast.expr) -> Chain | None:
    """E of ``E.__members__`` and of ``dir(E)``."""
    if isinstance(node, ast.Attribute) and node.attr in {"__members__", "_member_map_", "_member_names_"}:
        return chain_of(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dir" and node.args:
        return chain_of(node.args[0])
    return None


# --- errors ----------------------------------------------------------------------------------------------------------


def caught(node: ast.expr | None) -> int:
    """The guards of an ``except`` clause's type, or of an argument of ``suppress``; all when it is bare."""
    if node is None:
        return ALL_GUARDS
    if isinstance(node, ast.Tuple):
        guard = 0
        for item in node.elts:
            guard |= caught(item)
        return guard
    return _GUARDS.get(last_name(node), 0)


def guard_of_handlers(handlers: Sequence[ast.ExceptHandler]) -> int:
    """What the handlers of a ``try`` catch and keep; one that ends in ``raise`` keeps nothing."""
    guard = seen = 0
    for handler in handlers:
        here = caught(handler.type) & ~seen
        seen |= here
        if not fails(handler.body):
            guard |= here
    return guard


def guard_of_context(node: ast.expr) -> int:
    """What ``contextlib.suppress(...)``, ``pytest.raises(...)`` or ``self.assertRaises(...)`` catches."""
    if not isinstance(node, ast.Call) or last_name(node.func) not in _GUARDING_CALLS:
        return 0
    guard = 0
    for argument in node.args:
        guard |= caught(argument)
    return guard


def fails(body: Sequence[ast.stmt]) -> bool:
    """Whether a block always ends in an error or the program's end."""
    return bool(body) and (isinstance(body[-1], ast.Raise) or _ends_in_call(body[-1], _EXITS))


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether what stands after a block is never reached through it."""
    last = body[-1] if body else None
    return isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break) or _ends_in_call(
        last, _EXITS | _TEST_EXITS
    )


def _ends_in_call(statement: ast.stmt | None, names: set[str]) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and last_name(statement.value.func) in names
    )


# --- namespaces ------------------------------------------------------------------------------------------------------


def is_sys_modules(node: ast.AST) -> bool:
    return chain_of(node) in {("sys", ("modules",)), ("_sys", ("modules",))}


def is_own_name(node: ast.AST) -> bool:
    """``__name__``"""
    return isinstance(node, ast.Name) and node.id == "__name__"


def is_namespace(node: ast.AST) -> bool:
    """``globals()``, ``locals()``, ``vars()``"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _NAMESPACES
        and not node.args
    )


def hands_out(name: str, node: ast.AST, known: set[int]) -> bool:
    """Whether a node, beside those that are ``known`` by id, gives others the chance to change a module's list."""

    def is_it(child: ast.AST) -> bool:
        return isinstance(child, ast.Name) and child.id == name

    if isinstance(node, ast.Call):
        if id(node) in known:
            return False
        changes = isinstance(node.func, ast.Attribute) and is_it(node.func.value)
        return changes or (any(map(is_it, node.args)) and last_name(node.func) not in _HARMLESS)
    if isinstance(node, ast.Subscript):
        return is_it(node.value) and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Global):
        return name in node.names
    return isinstance(node, ast.Assign) and is_it(node.value)


def reads_namespace(node: ast.Call) -> bool:
    """``globals().get(...)`` and its like, which bind nothing."""
    function = node.func
    return isinstance(function, ast.Attribute) and function.attr in _READING and is_namespace(function.value)


def declared_globals(body: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
    """The names that a function declares ``global`` and ``nonlocal``: for all of it, also when it does in a branch."""
    global_names: set[str] = set()
    nonlocal_names: set[str] = set()
    pending: list[ast.stmt] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Global):
            global_names.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            nonlocal_names.update(node.names)
        elif isinstance(node, COMPOUND):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                for child in getattr(node, field, ()):
                    if isinstance(child, ast.ExceptHandler | ast.match_case):
                        pending.extend(child.body)
                    else:
                        pending.append(child)
    return global_names, nonlocal_names
