"""bytes -> Facts: one walk over the syntax tree, then every chain's root is resolved in Python's own scoping rules.

The walk dispatches on the node's class and descends only into fields that can hold nodes: a ``NodeVisitor`` that
collects the same costs as much again as the parse.
"""

import ast
import builtins
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ast_serialize

from audits.engine.facts import (
    ALIAS,
    CLASS,
    FROM,
    GUARD_ATTRIBUTE,
    GUARD_IMPORT,
    GUARD_KEY,
    IMPORT,
    IMPORT_TIME,
    IMPORT_TOP,
    OPAQUE,
    STAR,
    TYPE_CHECKING,
    Binding,
    Class,
    Expr,
    Facts,
    Import,
    Reference,
)
from audits.engine.fstrings import without_fstrings

_GUARDS = {
    "AttributeError": GUARD_ATTRIBUTE,
    "KeyError": GUARD_KEY,
    "LookupError": GUARD_KEY,
    "ImportError": GUARD_IMPORT,
    "ModuleNotFoundError": GUARD_IMPORT,
    "Exception": GUARD_ATTRIBUTE | GUARD_KEY | GUARD_IMPORT,
    "BaseException": GUARD_ATTRIBUTE | GUARD_KEY | GUARD_IMPORT,
}
_GUARDING_CALLS = {"suppress", "raises", "assertRaises", "assertRaisesRegex"}
_ALL_GUARDS = GUARD_ATTRIBUTE | GUARD_KEY | GUARD_IMPORT
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BUILTINS = frozenset(dir(builtins))
_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.type_ignore)

Chain = tuple[str, tuple[str, ...]]


class NewerSyntaxError(Exception):
    """The file is valid in a newer Python than the one that runs the audit."""


class NotSourceError(Exception):
    """The file is not Python source at all (a Git LFS pointer)."""


def extract(data: bytes) -> Facts:
    """The facts of a file's bytes.

    A file that no supported Python can parse has facts too: its ``error``. Raises ``NewerSyntaxError`` or
    ``NotSourceError`` when the file could not be looked at, and lets ``RecursionError`` and ``MemoryError`` through for
    files that are too complex: the caller runs this in a child process that can be lost.
    """
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        raise NotSourceError("a Git LFS pointer stands here instead of the file")
    try:
        tree = _parse(data)
    except (SyntaxError, ValueError) as error:
        return _unparseable(data, error)
    return _Extractor(data).run(tree)


def _unparseable(data: bytes, error: SyntaxError | ValueError) -> Facts:
    """The facts of a file that our own parser refused, when a newer one would not; else its error."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    line = (error.lineno or 1) if isinstance(error, SyntaxError) else 1
    source = _valid_elsewhere(data)
    if source is None:
        return Facts(error=(max(line, 1), message))
    readable = without_fstrings(source).encode()
    try:
        tree = _parse(readable)
    except (SyntaxError, ValueError):
        raise NewerSyntaxError(f"valid in a newer Python; this one says: {message} (line {line})") from error
    return _Extractor(readable).run(tree)


def _parse(data: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(data)


def _valid_elsewhere(data: bytes) -> str | None:
    """The source, when ruff's parser (Python 3.14's grammar, by way of mypy's wheel) accepts it."""
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\0" in source:
        return None
    _, errors, *_ = ast_serialize.parse("file.py", source, python_version=(3, 14))
    return None if errors else source


class _Scope:
    __slots__ = ("block", "globals", "index", "kind", "names", "nonlocals", "parent")

    def __init__(self, kind: str, index: int, parent: "_Scope | None", block: int) -> None:
        self.kind = kind  # module, class, function or comprehension
        self.index = index
        self.parent = parent
        self.block = block
        self.names: dict[str, list[tuple[int, int, int]]] = {}  # name -> [(order, block, binding or OPAQUE)]
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()


# Bindings that are no candidates: ``del x``, after which the name doesn't exist, and ``x = None``, after which it does.
_UNBOUND = -2
_ABSENT = -3


class _Blocks:
    """The tree of conditional blocks: which statement can be skipped, repeated, or excludes which."""

    def __init__(self) -> None:
        self.parent = [-1]
        self.statement = [-1]  # blocks of one if or match statement exclude each other
        self.loop = [False]
        self._statements = 0

    def statement_id(self) -> int:
        self._statements += 1
        return self._statements

    def new(self, parent: int, *, statement: int = -1, loop: bool = False) -> int:
        self.parent.append(parent)
        self.statement.append(statement)
        self.loop.append(loop)
        return len(self.parent) - 1

    def ancestors(self, block: int) -> Iterator[int]:
        while block != -1:
            yield block
            block = self.parent[block]

    def contains(self, outer: int, inner: int) -> bool:
        return outer == inner or outer in self.ancestors(inner)

    def exclude(self, one: int, other: int) -> bool:
        mine = {self.statement[b]: b for b in self.ancestors(one) if self.statement[b] != -1}
        return any(
            self.statement[b] in mine and mine[self.statement[b]] != b
            for b in self.ancestors(other)
            if self.statement[b] != -1
        )

    def share_loop(self, one: int, other: int) -> bool:
        loops = {b for b in self.ancestors(one) if self.loop[b]}
        return any(b in loops for b in self.ancestors(other))


class _RawReference:
    __slots__ = ("attributes", "block", "column", "flags", "key", "line", "order", "root", "scope")

    def __init__(
        self,
        root: str,
        attributes: tuple[str, ...],
        key: str | None,
        node: ast.expr,
        walk: "_Extractor",
        flags: int,
    ) -> None:
        self.root = root
        self.attributes = attributes
        self.key = key
        self.line = node.lineno
        self.column = node.col_offset
        self.scope = walk.scope
        self.block = walk.block
        self.order = walk.tick()
        self.flags = flags


class _RawExpr:
    """A chain whose root is to be resolved at the place where it stood."""

    __slots__ = ("attributes", "block", "order", "root", "scope")

    def __init__(self, chain: Chain, walk: "_Extractor") -> None:
        self.root, self.attributes = chain
        self.scope = walk.scope
        self.block = walk.block
        self.order = walk.tick()


class _RawBinding:
    __slots__ = ("index", "kind", "value")

    def __init__(self, kind: int, index: int = 0, value: _RawExpr | None = None) -> None:
        self.kind = kind
        self.index = index
        self.value = value


class _RawClass:
    __slots__ = (
        "bases",
        "decorators",
        "dynamic",
        "ignored",
        "metaclass",
        "node",
        "qualname",
        "scope",
        "values",
    )

    def __init__(self, node: ast.ClassDef, qualname: str) -> None:
        self.node = node
        self.qualname = qualname
        self.bases: list[_RawExpr | None] = []
        self.decorators: list[_RawExpr | None] = []
        self.metaclass: _RawExpr | None = None
        self.scope: _Scope | None = None
        self.values: list[str] = []
        self.ignored: tuple[str, ...] = ()
        self.dynamic = False


def _chain(node: ast.AST) -> Chain | None:
    """``a.b.c`` as ("a", ("b", "c")), None for anything whose root isn't a name."""
    attributes = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        attributes.reverse()
        return node.id, tuple(attributes)
    return None


def _child_fields(cls: type[ast.AST]) -> tuple[str, ...]:
    return tuple(
        f for f in cls._fields if f not in {"ctx", "op", "ops", "type_comment", "kind", "type_ignores"}
    )


class _Extractor:
    """One walk. ``flags``, ``scope`` and ``block`` describe the place where it is."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.clock = 0
        self.blocks = _Blocks()
        self.block = 0
        self.flags = IMPORT_TIME
        self.scope_names = [""]
        self.module = self.scope = _Scope("module", 0, None, 0)
        self.bindings: list[_RawBinding] = []
        self.imports: list[Import] = []
        self.classes: list[_RawClass] = []
        self.stars: list[int] = []
        self.references: list[_RawReference] = []
        self.patches: list[tuple[_RawExpr, str | None]] = []
        self.public: list[str] | None = None
        self.public_is_known = True
        self.dynamic = False
        self.lazy_annotations = False
        self.asked: tuple[Chain, ...] = ()  # chains that hasattr was asked about, here
        self.open_class: _RawClass | None = None
        self.handlers: dict[type[ast.AST], Callable[[Any], None]] = {
            ast.Name: self.skip,
            ast.Constant: self.skip,
            ast.Pass: self.skip,
            ast.Break: self.skip,
            ast.Continue: self.skip,
            ast.Attribute: self.attribute,
            ast.Subscript: self.subscript,
            ast.Call: self.call,
            ast.Import: self.import_,
            ast.ImportFrom: self.import_from,
            ast.FunctionDef: self.function,
            ast.AsyncFunctionDef: self.function,
            ast.Lambda: self.lambda_,
            ast.ClassDef: self.class_,
            ast.Assign: self.assign,
            ast.AnnAssign: self.annotated_assign,
            ast.AugAssign: self.augmented_assign,
            ast.NamedExpr: self.named_expression,
            ast.For: self.for_,
            ast.AsyncFor: self.for_,
            ast.While: self.while_,
            ast.If: self.if_,
            ast.IfExp: self.conditional,
            ast.BoolOp: self.boolean,
            ast.Try: self.try_,
            ast.TryStar: self.try_,
            ast.With: self.with_,
            ast.AsyncWith: self.with_,
            ast.Match: self.match,
            ast.MatchAs: self.match_capture,
            ast.MatchStar: self.match_capture,
            ast.MatchMapping: self.match_mapping,
            ast.Global: self.global_,
            ast.Nonlocal: self.nonlocal_,
            ast.Delete: self.delete,
            ast.ListComp: self.comprehension,
            ast.SetComp: self.comprehension,
            ast.GeneratorExp: self.comprehension,
            ast.DictComp: self.comprehension,
        }
        self.fields: dict[type[ast.AST], tuple[str, ...]] = {}

    # --- the walk ------------------------------------------------------------------------------------------------

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def visit(self, node: ast.AST) -> None:
        handler = self.handlers.get(node.__class__)
        if handler is not None:
            handler(node)
        else:
            self.children(node)

    def children(self, node: ast.AST) -> None:
        cls = node.__class__
        fields = self.fields.get(cls)
        if fields is None:
            fields = self.fields[cls] = _child_fields(cls)
        handlers = self.handlers
        for field in fields:
            value = getattr(node, field, None)
            if value is None:
                continue
            if value.__class__ is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        handler = handlers.get(item.__class__)
                        if handler is not None:
                            handler(item)
                        else:
                            self.children(item)
            elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
                handler = handlers.get(value.__class__)
                if handler is not None:
                    handler(value)
                else:
                    self.children(value)

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def skip(self, node: ast.AST) -> None:
        """Nothing beneath can hold a chain."""

    def inside(
        self, nodes: Iterable[ast.AST | None], *, block: int | None = None, flags: int | None = None
    ) -> None:
        """Visits the nodes in another block or with other flags, then comes back."""
        before = (self.block, self.flags)
        if block is not None:
            self.block = block
        if flags is not None:
            self.flags = flags
        self.all(nodes)
        self.block, self.flags = before

    # --- names ---------------------------------------------------------------------------------------------------

    def bind(self, name: str, binding: int = OPAQUE) -> None:
        scope = self.scope
        block = self.block
        while scope.kind == "comprehension":  # only the walrus gets here: it binds in the enclosing scope
            assert scope.parent is not None
            scope = scope.parent
        if name in scope.globals and scope is not self.module:
            scope, block = self.module, self.blocks.new(0)
        elif name in scope.nonlocals:
            outer = scope.parent
            while outer is not None and (outer.kind != "function" or name not in outer.names):
                outer = outer.parent
            if outer is not None:
                scope, block = outer, self.blocks.new(outer.block)
        scope.names.setdefault(name, []).append((self.tick(), block, binding))

    def bind_target(self, target: ast.AST) -> None:
        """Binds every name of an assignment target to something opaque and visits what a target reads."""
        if isinstance(target, ast.Name):
            self.bind(target.id)
        elif isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                self.bind_target(item)
        elif isinstance(target, ast.Starred):
            self.bind_target(target.value)
        else:
            self.visit(target)

    def add(self, binding: _RawBinding) -> int:
        self.bindings.append(binding)
        return len(self.bindings) - 1

    def raw_expr(self, node: ast.AST) -> _RawExpr | None:
        chain = _chain(node)
        return _RawExpr(chain, self) if chain is not None else None

    # --- expressions ---------------------------------------------------------------------------------------------

    def attribute(self, node: ast.Attribute) -> None:
        chain = _chain(node)
        if chain is None:
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute):
                inner = inner.value
            self.visit(inner)
            return
        root, attributes = chain
        if not isinstance(node.ctx, ast.Load):
            # Only what stands before the last dot is read; the last name is set from outside.
            if isinstance(node.ctx, ast.Store) and self.flags & IMPORT_TIME:
                self.patches.append((_RawExpr((root, attributes[:-1]), self), attributes[-1]))
            attributes = attributes[:-1]
            if not attributes:
                return
            chain = (root, attributes)
        flags = self.flags | (GUARD_ATTRIBUTE if self._was_asked(chain) else 0)
        self.references.append(_RawReference(root, attributes, None, node, self, flags))

    def _was_asked(self, chain: Chain) -> bool:
        root, attributes = chain
        return any(root == r and attributes[: len(a)] == a for r, a in self.asked)

    def subscript(self, node: ast.Subscript) -> None:
        key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(node.ctx, ast.Load):
            chain = _chain(node.value)
            if chain is not None:
                self.references.append(_RawReference(*chain, key.value, node, self, self.flags))
                return
        self.visit(node.value)
        self.visit(key)

    def call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name):
            self._notice_builtin(function.id, node)
        elif self.scope is self.module and isinstance(function, ast.Attribute):
            chain = _chain(function)
            if chain in {("__all__", ("extend",)), ("__all__", ("append",)), ("__all__", ("remove",))}:
                self._change_public(function.attr, node.args)
        self.visit(function)
        self.all(node.args)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def _notice_builtin(self, name: str, node: ast.Call) -> None:
        if name in {"exec", "vars", "locals"} and self.open_class is not None and self.scope.kind == "class":
            self.open_class.dynamic = True
        if name in {"exec", "vars", "locals"} and self.scope is self.module:
            self.dynamic = True
        elif name == "globals":
            # globals()[...] = ... and globals().update(...) bind what the text doesn't show; a mere look does not,
            # but a wrong finding costs more than a missed one.
            self.dynamic = True
        elif name in {"setattr", "extend_enum", "delattr"} and node.args:
            if _is_this_module(node.args[0]):
                self.dynamic = True
            elif (target := self.raw_expr(node.args[0])) is not None:
                self.patches.append((target, None))

    def lambda_(self, node: ast.Lambda) -> None:
        self._arguments_outside(node.args)
        with_scope = self.enter("function", "<lambda>")
        self._bind_arguments(node.args)
        self.visit(node.body)
        self.leave(with_scope)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        state = self.enter("comprehension", None)
        for number, generator in enumerate(node.generators):
            if number:
                self.visit(generator.iter)
            self._bind_in_comprehension(generator.target)
            self.all(generator.ifs)
        if isinstance(node, ast.DictComp):
            self.visit(node.key)
            self.visit(node.value)
        else:
            self.visit(node.elt)
        self.leave(state)

    def _bind_in_comprehension(self, target: ast.AST) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name):
                self.scope.names.setdefault(name.id, []).append((self.tick(), self.block, OPAQUE))
            elif isinstance(name, ast.Attribute | ast.Subscript):
                self.visit(name)

    def named_expression(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind(node.target.id)

    def conditional(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        statement = self.blocks.statement_id()
        self._when_asked(
            _asked_chains(node.test), [node.body], self.blocks.new(self.block, statement=statement)
        )
        self.inside([node.orelse], block=self.blocks.new(self.block, statement=statement))

    def boolean(self, node: ast.BoolOp) -> None:
        before = self.asked
        for value in node.values:
            self.visit(value)
            if isinstance(node.op, ast.And):
                self.asked = (*self.asked, *_asked_chains(value))
        self.asked = before

    def _when_asked(
        self, chains: tuple[Chain, ...], nodes: list[Any], block: int, flags: int | None = None
    ) -> None:
        before = self.asked
        self.asked = (*before, *chains)
        self.inside(nodes, block=block, flags=flags)
        self.asked = before

    # --- statements that bind --------------------------------------------------------------------------------------

    def import_(self, node: ast.Import) -> None:
        for alias in node.names:
            index = self._import(0, alias.name, None, alias, node)
            if alias.asname:
                self.bind(alias.asname, self.add(_RawBinding(IMPORT, index)))
            else:
                self.bind(alias.name.partition(".")[0], self.add(_RawBinding(IMPORT_TOP, index)))

    def import_from(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__" and not node.level:
            self.lazy_annotations |= any(alias.name == "annotations" for alias in node.names)
            return
        for alias in node.names:
            index = self._import(node.level, node.module or "", alias.name, alias, node)
            if alias.name == "*":
                self.stars.append(self.add(_RawBinding(STAR, index)))
            else:
                self.bind(alias.asname or alias.name, self.add(_RawBinding(FROM, index)))

    def _import(self, level: int, module: str, name: str | None, node: ast.alias, statement: ast.stmt) -> int:
        column = self._character(node.lineno, node.col_offset)
        self.imports.append(
            Import(level, module, name, node.lineno, column, self.scope.index, self.flags, statement.lineno)
        )
        return len(self.imports) - 1

    def assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self.raw_expr(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._assign_name(target.id, node.value, value)
            else:
                self.bind_target(target)
                if self.open_class is not None and self.scope.kind == "class":
                    self.open_class.values.extend(n.id for n in ast.walk(target) if isinstance(n, ast.Name))
            if isinstance(target, ast.Subscript) and _is_sys_modules(target.value):
                self.dynamic = True

    def _assign_name(self, name: str, node: ast.expr, value: _RawExpr | None) -> None:
        if self.scope is self.module and name == "__all__":
            self.public = []
            self._change_public("extend", [node])
        if self.open_class is not None and self.scope.kind == "class":
            if name == "_ignore_":
                self.open_class.ignored = tuple(_strings(node) or ())
            elif not isinstance(node, ast.Lambda):
                self.open_class.values.append(name)
        if isinstance(node, ast.Constant) and node.value is None:
            # ``E = None`` is how a fallback says "absent": no candidate of its own, yet the name exists.
            self.bind(name, _ABSENT)
            return
        self.bind(name, self.add(_RawBinding(ALIAS, 0, value)) if value is not None else OPAQUE)

    def annotated_assign(self, node: ast.AnnAssign) -> None:
        self.annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            if isinstance(node.target, ast.Name):
                self._assign_name(node.target.id, node.value, self.raw_expr(node.value))
                return
        if not isinstance(node.target, ast.Name):
            self.visit(node.target)
        elif self.scope.kind == "function":
            # A bare annotation makes the name local without binding it.
            self.scope.names.setdefault(node.target.id, [])

    def augmented_assign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            if self.scope is self.module and node.target.id == "__all__":
                self._change_public("extend", [node.value])
            self.bind(node.target.id)
        else:
            self.visit(node.target)

    def _change_public(self, how: str, values: list[ast.expr]) -> None:
        """Follows ``__all__``; what can't be read makes it unknown, and then nothing relies on it."""
        names: list[str] | None = None
        if len(values) == 1:
            if how == "extend":
                names = _strings(values[0])
            elif isinstance(values[0], ast.Constant) and isinstance(values[0].value, str):
                names = [values[0].value]
        if names is None or self.public is None:
            self.public_is_known = False
        elif how == "remove":
            self.public = [name for name in self.public if name not in names]
        else:
            self.public.extend(names)

    def global_(self, node: ast.Global) -> None:
        self.scope.globals.update(node.names)

    def nonlocal_(self, node: ast.Nonlocal) -> None:
        self.scope.nonlocals.update(node.names)

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.bind(target.id, _UNBOUND)
            else:
                self.visit(target)

    # --- functions and classes -------------------------------------------------------------------------------------

    def enter(
        self, kind: str, name: str | None
    ) -> tuple[_Scope, int, int, _RawClass | None, tuple[Chain, ...]]:
        state = (self.scope, self.block, self.flags, self.open_class, self.asked)
        index = self.scope.index
        if name is not None:
            outer = self.scope_names[index]
            self.scope_names.append(f"{outer}.{name}" if outer else name)
            index = len(self.scope_names) - 1
        if kind == "function":
            self.flags &= ~(_ALL_GUARDS | IMPORT_TIME)
            self.asked = ()
            self.block = self.blocks.new(self.block)
        self.scope = _Scope(kind, index, self.scope, self.block)
        return state

    def leave(self, state: tuple[_Scope, int, int, _RawClass | None, tuple[Chain, ...]]) -> None:
        self.scope, self.block, self.flags, self.open_class, self.asked = state

    def annotation(self, node: ast.expr | None) -> None:
        """An annotation; in a function's body, or with ``from __future__ import annotations``, it is never
        evaluated."""
        if node is not None:
            lazy = self.lazy_annotations or self.scope.kind == "function"
            self.inside([node], flags=self.flags | TYPE_CHECKING if lazy else None)

    def _arguments_outside(self, arguments: ast.arguments) -> None:
        """Defaults and annotations, which belong to the scope around the function."""
        self.all(arguments.defaults)
        self.all(arguments.kw_defaults)
        for argument in _arguments(arguments):
            if argument.annotation is not None:
                flags = self.flags | TYPE_CHECKING if self.lazy_annotations else None
                self.inside([argument.annotation], flags=flags)

    def _bind_arguments(self, arguments: ast.arguments) -> None:
        for argument in _arguments(arguments):
            self.bind(argument.arg)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.all(node.decorator_list)
        self._arguments_outside(node.args)
        if node.returns is not None:
            self.inside([node.returns], flags=self.flags | TYPE_CHECKING if self.lazy_annotations else None)
        if self.scope is self.module and node.name == "__getattr__":
            self.dynamic = True
        self.bind(node.name)
        state = self.enter("function", node.name)
        self.open_class = None
        _declare_globals(node.body, self.scope)
        self._bind_arguments(node.args)
        self.all(node.body)
        self.leave(state)

    def class_(self, node: ast.ClassDef) -> None:
        self.all(node.decorator_list)
        self.all(node.bases)
        outer = self.scope_names[self.scope.index]
        found = _RawClass(node, f"{outer}.{node.name}" if outer else node.name)
        found.decorators = [self.raw_expr(_called(d)) for d in node.decorator_list]
        found.bases = [self.raw_expr(_unsubscripted(b)) for b in node.bases]
        for keyword in node.keywords:
            self.visit(keyword.value)
            if keyword.arg == "metaclass":
                found.metaclass = self.raw_expr(keyword.value)
                found.dynamic |= found.metaclass is None
            elif keyword.arg is None:
                found.dynamic = True
        index = len(self.classes)
        self.classes.append(found)
        state = self.enter("class", node.name)
        self.open_class = found
        found.scope = self.scope
        found.dynamic |= any(isinstance(statement, _COMPOUND) for statement in node.body)
        self.all(node.body)
        self.leave(state)
        self.bind(node.name, self.add(_RawBinding(CLASS, index)))

    # --- statements that branch --------------------------------------------------------------------------------------

    def if_(self, node: ast.If) -> None:
        self.visit(node.test)
        flags = self.flags
        body_flags, else_flags = flags, flags
        if _is_type_checking(node.test):
            body_flags |= TYPE_CHECKING
        elif isinstance(node.test, ast.UnaryOp) and _is_type_checking(node.test.operand):
            else_flags |= TYPE_CHECKING
        elif _is_main_check(node.test):
            body_flags &= ~IMPORT_TIME
        statement = self.blocks.statement_id()
        body, orelse = (self.blocks.new(self.block, statement=statement) for _ in range(2))
        self._when_asked(_asked_chains(node.test), node.body, body, body_flags)
        if node.orelse:
            chains = _asked_chains(node.test.operand) if isinstance(node.test, ast.UnaryOp) else ()
            self._when_asked(chains, node.orelse, orelse, else_flags)

    def try_(self, node: ast.Try | ast.TryStar) -> None:
        guard = 0
        for handler in node.handlers:
            guard |= _caught(handler.type)
        # The body is a block of its own: an exception can leave it before any of its bindings.
        body = self.blocks.new(self.block)
        self.inside(node.body, block=body, flags=self.flags | guard)
        for handler in node.handlers:
            self.inside([handler.type])
            before = self.block
            self.block = self.blocks.new(before)
            if handler.name:
                self.bind(handler.name)
            self.all(handler.body)
            if handler.name:
                self.bind(handler.name, _UNBOUND)
            self.block = before
        self.inside(node.orelse, block=body)
        self.all(node.finalbody)

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        guard = 0
        for item in node.items:
            self.visit(item.context_expr)
            guard |= _guard_of_context(item.context_expr)
            if item.optional_vars is not None:
                self.bind_target(item.optional_vars)
        self.inside(node.body, block=self.blocks.new(self.block) if guard else None, flags=self.flags | guard)

    def for_(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        block = self.blocks.new(self.block, loop=True)
        before, self.block = self.block, block
        self.bind_target(node.target)
        self.all(node.body)
        self.block = before
        self.inside(node.orelse, block=self.blocks.new(before))

    def while_(self, node: ast.While) -> None:
        block = self.blocks.new(self.block, loop=True)
        self.inside([node.test], block=block)
        self._when_asked(_asked_chains(node.test), node.body, block)
        self.inside(node.orelse, block=self.blocks.new(self.block))

    def match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        statement = self.blocks.statement_id()
        for case in node.cases:
            nodes = [case.pattern, case.guard, *case.body]
            self.inside(nodes, block=self.blocks.new(self.block, statement=statement))

    def match_capture(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if isinstance(node, ast.MatchAs) and node.pattern is not None:
            self.visit(node.pattern)
        if node.name is not None:
            self.bind(node.name)

    def match_mapping(self, node: ast.MatchMapping) -> None:
        self.children(node)
        if node.rest is not None:
            self.bind(node.rest)

    # --- after the walk: which statements can have bound the root of each chain ---------------------------------------

    def run(self, tree: ast.Module) -> Facts:
        self.all(tree.body)
        references = self._resolved_references()
        return Facts(
            scopes=tuple(self.scope_names),
            bindings=tuple(
                Binding(b.kind, b.index, self._expr(b.value) if b.value is not None else None)
                for b in self.bindings
            ),
            imports=tuple(self.imports),
            classes=tuple(self._class(c) for c in self.classes),
            names=self._names_at_end(self.module),
            stars=tuple(self.stars),
            public=tuple(self.public) if self.public is not None and self.public_is_known else None,
            dynamic=self.dynamic,
            references=references,
            patches=tuple(self._patches()),
        )

    def _resolved_references(self) -> tuple[Reference, ...]:
        grouped: dict[
            tuple[tuple[int, ...], str, tuple[str, ...], str | None], list[tuple[int, int, int, int]]
        ] = {}
        for raw in self.references:
            candidates = self._candidates(raw.root, raw.scope, raw.block, raw.order)
            if not any(c >= 0 for c in candidates):
                continue
            place = (raw.line, self._character(raw.line, raw.column), raw.scope.index, raw.flags)
            grouped.setdefault((candidates, raw.root, raw.attributes, raw.key), []).append(place)
        return tuple(
            Reference(Expr(candidates, root, attributes), key, tuple(places))
            for (candidates, root, attributes, key), places in grouped.items()
        )

    def _patches(self) -> Iterator[tuple[Expr, str | None]]:
        for raw, attribute in self.patches:
            expr = self._expr(raw)
            if any(c >= 0 for c in expr.candidates):
                yield expr, attribute

    def _expr(self, raw: _RawExpr) -> Expr:
        candidates = self._candidates(raw.root, raw.scope, raw.block, raw.order)
        return Expr(candidates, raw.root, raw.attributes)

    def _class(self, raw: _RawClass) -> Class:
        assert raw.scope is not None
        node = raw.node
        return Class(
            name=node.name,
            qualname=raw.qualname,
            line=node.lineno,
            column=self._character(node.lineno, node.col_offset),
            end_line=node.end_lineno or node.lineno,
            bases=tuple(self._expr(b) if b is not None else None for b in raw.bases),
            metaclass=self._expr(raw.metaclass) if raw.metaclass is not None else None,
            decorators=tuple(self._expr(d) if d is not None else None for d in raw.decorators),
            names=self._names_at_end(raw.scope),
            values=tuple(dict.fromkeys(raw.values)),
            ignored=raw.ignored,
            dynamic=raw.dynamic,
        )

    def _names_at_end(self, scope: _Scope) -> dict[str, tuple[int, ...]]:
        result = {}
        for name, bindings in scope.names.items():
            survivors = self._reaching(bindings, scope.block, self.clock + 1)
            if any(b != _UNBOUND for b in survivors):
                result[name] = tuple(sorted({b for b in survivors if b >= 0 or b == OPAQUE}))
        return result

    def _candidates(self, name: str, scope: _Scope, block: int, order: int) -> tuple[int, ...]:
        """The bindings that ``name`` can have at a place, by index; OPAQUE among them for something else, () for
        none."""
        deferred = False
        current: _Scope | None = scope
        start = scope
        while current is not None:
            if name in current.globals:
                deferred, current = current is not self.module, self.module
            visible = current.kind != "class" or current is start
            if visible and name in current.names:
                found = self._found(current, name, deferred, block, order)
                if found or current.kind != "class":
                    return found
            if current.kind == "function":
                deferred = True
            current = current.parent if current is not self.module else None
        if name in _BUILTINS:
            return ()
        return tuple(self.stars)

    def _found(self, scope: _Scope, name: str, deferred: bool, block: int, order: int) -> tuple[int, ...]:
        bindings = scope.names[name]
        if deferred:
            reaching = self._reaching(bindings, scope.block, self.clock + 1)
        else:
            reaching = self._reaching(bindings, block, order)
            if not reaching and scope.kind != "class":
                reaching = [b for _, _, b in bindings]
        return tuple(sorted({b for b in reaching if b >= 0 or b == OPAQUE}))

    def _reaching(self, bindings: list[tuple[int, int, int]], block: int, order: int) -> list[int]:
        blocks = self.blocks
        result = []
        for when, where, binding in reversed(bindings):
            if when > order:
                if blocks.share_loop(where, block):
                    result.append(binding)
            elif not blocks.exclude(where, block):
                result.append(binding)
                if blocks.contains(where, block):
                    break
        return result

    def _character(self, line: int, column: int) -> int:
        """The column in characters of a column in UTF-8 bytes."""
        if column == 0 or self._lines is None:
            return column
        text = self._lines[line - 1] if line <= len(self._lines) else b""
        return len(text[:column].decode("utf-8", "replace"))

    @property
    def _lines(self) -> list[bytes] | None:
        if self.data.isascii():
            return None
        if not hasattr(self, "_split"):
            self._split = self.data.splitlines()
        return self._split


_COMPOUND = (
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


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from arguments.posonlyargs
    yield from arguments.args
    if arguments.vararg:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg:
        yield arguments.kwarg


def _declare_globals(body: list[ast.stmt], scope: _Scope) -> None:
    """``global x`` holds for the whole function, also when it stands inside a branch."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Global):
            scope.globals.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.nonlocals.update(node.names)
        elif isinstance(node, _COMPOUND):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                for child in getattr(node, field, ()):
                    pending.extend(
                        child.body if isinstance(child, ast.ExceptHandler | ast.match_case) else [child]
                    )


def _strings(node: ast.expr) -> list[str] | None:
    """The strings of a list, tuple or set display, or of one string split at blanks; None when it holds anything
    else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.split()
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    values = [
        item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    return values if len(values) == len(node.elts) else None


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _unsubscripted(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _is_type_checking(node: ast.expr) -> bool:
    chain = _chain(node)
    return chain is not None and (chain[1][-1] if chain[1] else chain[0]) == "TYPE_CHECKING"


def _is_main_check(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "__name__"


def _is_sys_modules(node: ast.AST) -> bool:
    return _chain(node) == ("sys", ("modules",))


def _is_this_module(node: ast.AST) -> bool:
    """``sys.modules[__name__]``"""
    return isinstance(node, ast.Subscript) and _is_sys_modules(node.value)


def _asked_chains(test: ast.expr) -> tuple[Chain, ...]:
    """``hasattr(E, "X")``, alone or joined by ``and``: the chain E.X."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return tuple(chain for value in test.values for chain in _asked_chains(value))
    if (
        isinstance(test, ast.Call)
        and isinstance(test.func, ast.Name)
        and test.func.id == "hasattr"
        and len(test.args) == 2
        and isinstance(test.args[1], ast.Constant)
        and isinstance(test.args[1].value, str)
        and (chain := _chain(test.args[0])) is not None
    ):
        return ((chain[0], (*chain[1], test.args[1].value)),)
    return ()


def _caught(node: ast.expr | None) -> int:
    """What an ``except`` clause, or a ``suppress``, catches; everything when it is bare."""
    if node is None:
        return _ALL_GUARDS
    if isinstance(node, ast.Tuple):
        guard = 0
        for item in node.elts:
            guard |= _caught(item)
        return guard
    chain = _chain(node)
    return _GUARDS.get(chain[1][-1] if chain[1] else chain[0], 0) if chain is not None else 0


def _guard_of_context(node: ast.expr) -> int:
    """``contextlib.suppress(...)``, ``pytest.raises(...)``, ``self.assertRaises(...)``."""
    if not isinstance(node, ast.Call):
        return 0
    chain = _chain(node.func)
    if chain is None or (chain[1][-1] if chain[1] else chain[0]) not in _GUARDING_CALLS:
        return 0
    guard = 0
    for argument in node.args:
        guard |= _caught(argument)
    return guard
