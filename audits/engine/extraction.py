"""bytes -> Facts: one walk over the syntax tree, then every chain's root is resolved in Python's own scoping rules.

The walk dispatches on the node's class and descends only into fields that can hold nodes: a ``NodeVisitor`` that
collects the same costs as much again as the parse.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from audits.engine.facts import (
    ALIAS,
    CLASS,
    CONDITIONAL,
    CONSTANT,
    FROM,
    FUNCTION,
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
    Definition,
    Expr,
    Facts,
    Import,
    Literal,
    Patch,
    Reference,
    packed_literals,
    packed_rows,
)
from audits.engine.idioms import (
    ALL_GUARDS,
    COMPOUND,
    Chain,
    arguments_of,
    asked_chains,
    asks_environment,
    caught,
    chain_of,
    declared_globals,
    denied_chains,
    guard_of_context,
    guard_of_handlers,
    hands_out,
    is_main_check,
    is_namespace,
    is_never_run,
    is_own_name,
    is_sys_modules,
    last_name,
    leaves,
    reads_namespace,
    stored_names,
    text_of,
    texts_of,
)
from audits.engine.scopes import ABSENT, UNBOUND, Blocks, Names, Scope
from audits.engine.syntax import Source, UnparseableError, parse

_LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.type_ignore)
# Calls whose first argument names a module that a compiler makes.
_COMPILING = (
    "CUDAExtension",
    "CppExtension",
    "Extension",
    "Pybind11Extension",
    "RustExtension",
    "set_source",
)
# The builtins that a team may want nobody to use.
_NOTED_BUILTINS = frozenset(
    ("__import__", "breakpoint", "compile", "eval", "exec", "globals", "hash", "id", "input", "open", "print")
)
# Texts that can be literals with an owner: longer ones and those with blanks are prose.
_MIN_TEXT, _MAX_TEXT = 3, 120
_BLANK = re.compile(r"\s")
_MIN_NUMBER, _MAX_NUMBER = 100, 2**63
# Calls that put names into the module whose ``__name__`` they are given.
_FILLING = ("_convert", "_convert_", "initpkg")


def extract(data: bytes) -> Facts:
    """The facts of a file's bytes.

    A file that no supported Python can parse has facts too: its ``error``. Raises ``NewerSyntaxError`` or
    ``NotSourceError`` when the file could not be looked at, and lets ``RecursionError`` and ``MemoryError`` through for
    files that are too complex: the caller runs this in a child process that can be lost.
    """
    try:
        source = parse(data)
    except UnparseableError as error:
        return Facts(error=(error.line, error.message))
    return _Extractor(source).run()


class _RawReference:
    __slots__ = ("attributes", "block", "column", "flags", "key", "line", "order", "root", "scope")

    def __init__(self, chain: Chain, key: str | None, node: ast.expr, walk: "_Extractor", flags: int) -> None:
        self.root, self.attributes = chain
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


@dataclass(frozen=True, slots=True)
class _RawBinding:
    kind: int
    index: int = 0
    value: _RawExpr | None = None


class _RawPatch(NamedTuple):
    target: _RawExpr
    attribute: str | None
    import_time: bool


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
        "texts",
        "values",
    )

    def __init__(self, node: ast.ClassDef, qualname: str) -> None:
        self.node = node
        self.qualname = qualname
        self.bases: list[_RawExpr | None] = []
        self.decorators: list[_RawExpr | None] = []
        self.metaclass: _RawExpr | None = None
        self.scope: Scope | None = None
        self.values: list[str] = []
        self.texts: list[tuple[str, str, int]] = []
        self.ignored: tuple[str, ...] = ()
        self.dynamic = False


_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}  # filled as node classes turn up


class _State(NamedTuple):
    """Where the walk is, to come back to."""

    scope: Scope
    block: int
    flags: int
    open_class: _RawClass | None
    asked: tuple[Chain, ...]
    fallback: tuple[int, int]


def _child_fields(cls: type[ast.AST]) -> tuple[str, ...]:
    return tuple(
        f for f in cls._fields if f not in {"ctx", "op", "ops", "type_comment", "kind", "type_ignores"}
    )


class _Extractor:
    """One walk. ``flags``, ``scope`` and ``block`` describe the place where it is."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.clock = 0
        self.blocks = Blocks()
        self.block = 0
        self.flags = IMPORT_TIME
        self.scope_names = [""]
        self.module = self.scope = Scope("module", 0, None, 0)
        self.bindings: list[_RawBinding] = []
        self.imports: list[Import] = []
        self.classes: list[_RawClass] = []
        self.telling: set[str] = set()  # names that an import, a class or an alias binds somewhere
        self.named: set[str] = set()  # those of them that an import or an alias binds
        self.definitions: list[Definition] = []
        self.literals: list[Literal] = []
        self.references: list[_RawReference] = []
        self.patches: list[_RawPatch] = []
        self.installed: list[tuple[str, bool]] = []
        self.built: list[str] = []
        self.public: list[str] | None = None
        self.public_is_known = True
        self.public_calls: set[int] = set()  # ids of nodes
        self.dynamic = False
        self.lazy_annotations = False
        self.asked: tuple[Chain, ...] = ()  # chains of which it is known here that they exist
        self.fallback = (0, 0)  # the imports of the ``try`` whose handler this is
        self.open_class: _RawClass | None = None

    # --- the walk ------------------------------------------------------------------------------------------------

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def visit(self, node: ast.AST) -> None:
        handler = _HANDLERS.get(node.__class__)
        if handler is not None:
            handler(self, node)
        else:
            self.children(node)

    def children(self, node: ast.AST) -> None:
        cls = node.__class__
        fields = _FIELDS.get(cls)
        if fields is None:
            fields = _FIELDS[cls] = _child_fields(cls)
        handlers = _HANDLERS
        for field in fields:
            value = getattr(node, field, None)
            if value is None:
                continue
            if value.__class__ is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        handler = handlers.get(item.__class__)
                        if handler is not None:
                            handler(self, item)
                        else:
                            self.children(item)
            elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
                handler = handlers.get(value.__class__)
                if handler is not None:
                    handler(self, value)
                else:
                    self.children(value)

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def skip(self, node: ast.AST) -> None:
        """Nothing beneath can hold a chain."""

    def inside(
        self,
        nodes: Iterable[ast.AST | None],
        *,
        block: int | None = None,
        flags: int | None = None,
        asked: tuple[Chain, ...] = (),
    ) -> None:
        """Visits the nodes in another block, with other flags or more knowledge, then comes back."""
        before = (self.block, self.flags, self.asked)
        if block is not None:
            self.block = block
        if flags is not None:
            self.flags = flags
        if asked:
            self.asked += asked
        self.all(nodes)
        self.block, self.flags, self.asked = before

    def enter(self, kind: str, name: str | None) -> _State:
        state = _State(self.scope, self.block, self.flags, self.open_class, self.asked, self.fallback)
        index = self.scope.index
        if name is not None:
            outer = self.scope_names[index]
            self.scope_names.append(f"{outer}.{name}" if outer else name)
            index = len(self.scope_names) - 1
        if kind == "function":
            self.flags &= ~(ALL_GUARDS | IMPORT_TIME)
            self.asked = ()
            self.fallback = (0, 0)
            self.block = self.blocks.new(self.block)
        self.scope = Scope(kind, index, self.scope, self.block)
        return state

    def leave(self, state: _State) -> None:
        self.scope, self.block, self.flags, self.open_class, self.asked, self.fallback = state

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
        if name == "__getattr__" and scope is self.module:
            self.dynamic = True
        if binding >= 0:
            self.telling.add(name)
            if self.bindings[binding].kind != CLASS:
                self.named.add(name)
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
        chain = chain_of(node)
        return _RawExpr(chain, self) if chain is not None else None

    # --- expressions ---------------------------------------------------------------------------------------------

    def name(self, node: ast.Name) -> None:
        if node.ctx.__class__ is ast.Load:
            self.references.append(_RawReference((node.id, ()), None, node, self, self.flags))

    def constant(self, node: ast.Constant) -> None:
        value = node.value
        if value.__class__ is str:
            if not _MIN_TEXT <= len(value) <= _MAX_TEXT or _BLANK.search(value) or text_of(node) is None:
                return
        elif value.__class__ is not int or not _MIN_NUMBER <= abs(value) < _MAX_NUMBER:
            return
        place = (node.lineno, self.source.column(node.lineno, node.col_offset), self.scope.index, self.flags)
        self.literals.append(Literal(value, place))

    def expression_statement(self, node: ast.Expr) -> None:
        if node.value.__class__ is not ast.Constant:  # a docstring, or words that stand there like one
            self.visit(node.value)

    def joined_string(self, node: Any) -> None:
        """An f-string or t-string: what is computed in it, not its texts."""
        for value in node.values:
            if value.__class__ is not ast.Constant:
                self.visit(value)

    def attribute(self, node: ast.Attribute) -> None:
        chain = chain_of(node)
        if chain is None:
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute):
                inner = inner.value
            self.visit(inner)
            return
        root, attributes = chain
        if not isinstance(node.ctx, ast.Load):
            # Only what stands before the last dot is read; the last name is set from outside.
            if isinstance(node.ctx, ast.Store):
                self._patch((root, attributes[:-1]), attributes[-1])
            attributes = attributes[:-1]
            if not attributes:
                return
            chain = (root, attributes)
        flags = self.flags | (GUARD_ATTRIBUTE if self._is_known(chain) else 0)
        self.references.append(_RawReference(chain, None, node, self, flags))

    def _is_known(self, chain: Chain) -> bool:
        root, attributes = chain
        return any(root == r and attributes[: len(a)] == a for r, a in self.asked)

    def _patch(self, target: Chain, attribute: str | None) -> None:
        self.patches.append(_RawPatch(_RawExpr(target, self), attribute, bool(self.flags & IMPORT_TIME)))

    def subscript(self, node: ast.Subscript) -> None:
        key = node.slice
        is_read = isinstance(node.ctx, ast.Load)
        text = text_of(key)
        if is_read and is_namespace(node.value):
            self.visit(key)
            return
        chain = chain_of(node.value)
        if chain is not None:
            if is_sys_modules(node.value):
                self._notice_module_key(key, installs=isinstance(node.ctx, ast.Store))
            elif is_read and text is not None:
                flags = self.flags | (GUARD_KEY if self._is_known((chain[0], (*chain[1], text))) else 0)
                self.references.append(_RawReference(chain, text, node, self, flags))
                return
            elif isinstance(node.ctx, ast.Store):
                self._notice_item_set(chain)
        self.visit(node.value)
        self.visit(key)

    def _notice_item_set(self, chain: Chain) -> None:
        if chain == ("__path__", ()):
            self.bind("__path__")
        elif chain[1] and chain[1][-1] in {"_member_map_", "_value2member_map_", "__dict__"}:
            self._patch((chain[0], chain[1][:-1]), None)

    def compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        for comparator in node.comparators:
            if not is_namespace(comparator):  # ``"x" in globals()`` binds nothing
                self.visit(comparator)

    def call(self, node: ast.Call) -> None:
        function = node.func
        notice = _NOTICES.get(last_name(function))
        if notice is not None:
            chain = chain_of(function)
            if chain is not None:
                notice(self, chain, node)
        if reads_namespace(node):
            self.all(node.args)
            return
        self.visit(function)
        self.all(node.args)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def lambda_(self, node: ast.Lambda) -> None:
        self._arguments_outside(node.args)
        state = self.enter("function", "<lambda>")
        self._bind_arguments(node.args)
        self.visit(node.body)
        self.leave(state)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        state = self.enter("comprehension", None)
        for number, generator in enumerate(node.generators):
            if number:
                self.visit(generator.iter)
            self._bind_in_comprehension(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
                self.asked += asked_chains(condition)
        if isinstance(node, ast.DictComp):
            self.visit(node.key)
            self.visit(node.value)
        else:
            self.visit(node.elt)
        self.leave(state)

    def _bind_in_comprehension(self, target: ast.AST) -> None:
        for name in stored_names(target):
            self.scope.names.setdefault(name, []).append((self.tick(), self.block, OPAQUE))
        for node in ast.walk(target):
            if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                self.visit(node)

    def named_expression(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        value = self.raw_expr(node.value)
        self.bind(node.target.id, self.add(_RawBinding(ALIAS, 0, value)) if value is not None else OPAQUE)

    def conditional(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        statement = self.blocks.statement_id()
        flags = self.flags | (CONDITIONAL if asks_environment(node.test) else 0)
        for branch, asked in ((node.body, asked_chains), (node.orelse, denied_chains)):
            block = self.blocks.new(self.block, statement=statement)
            self.inside([branch], block=block, flags=flags, asked=asked(node.test))

    def boolean(self, node: ast.BoolOp) -> None:
        before = self.asked
        learned = asked_chains if isinstance(node.op, ast.And) else denied_chains
        for value in node.values:
            self.visit(value)
            self.asked += learned(value)
        self.asked = before

    # --- calls that say something about names ----------------------------------------------------------------------

    def _notice_exec(self, chain: Chain, node: ast.Call) -> None:
        if chain[1]:
            return
        if self.scope is self.module:
            self.dynamic = True
        elif self.open_class is not None and self.scope.kind == "class":
            self.open_class.dynamic = True

    def _notice_globals(self, chain: Chain, node: ast.Call) -> None:
        # globals()[...] = ... and globals().update(...) bind what the text doesn't show.
        self.dynamic |= not chain[1]

    def _notice_own_import(self, chain: Chain, node: ast.Call) -> None:
        # A module that takes hold of itself mostly goes on to set attributes of itself.
        self.dynamic |= bool(node.args) and is_own_name(node.args[0])

    def _notice_filling(self, chain: Chain, node: ast.Call) -> None:
        self.dynamic |= any(is_own_name(argument) for argument in node.args)

    def _notice_attribute(self, chain: Chain, node: ast.Call) -> None:
        """``setattr(E, "X", ...)``, ``monkeypatch.setattr(E, "X", ...)``, ``patch.object(E, "X")``."""
        if not node.args:
            return
        target = chain_of(node.args[0])
        if target is not None:
            is_named = len(node.args) > 1 and last_name(node.func) != "extend_enum"
            self._patch(target, text_of(node.args[1]) if is_named else None)

    def _notice_change(self, chain: Chain, node: ast.Call) -> None:
        """``__all__.extend(...)``, ``__path__.append(...)``"""
        if self.scope is self.module and chain[0] == "__all__":
            self.public_calls.add(id(node))
            self._change_public(chain[1][-1] if chain[1] else "", node.args)
        elif chain[0] == "__path__":
            self.bind("__path__")

    def _notice_namespace_package(self, chain: Chain, node: ast.Call) -> None:
        self.bind("__path__")

    def _notice_compilation(self, chain: Chain, node: ast.Call) -> None:
        named = next((k.value for k in node.keywords if k.arg in {"name", "target"}), None)
        text = text_of(node.args[0] if node.args else named)
        if text is not None:
            self.built.append(text)

    def _notice_module_key(self, key: ast.expr, *, installs: bool) -> None:
        """``sys.modules[key]``"""
        text = text_of(key)
        if is_own_name(key):
            self.dynamic = True
        elif installs:
            self.dynamic = True  # it may be this very module that is replaced
            self.installed.append((text or "", bool(self.flags & IMPORT_TIME)))

    def _notice_installation(self, chain: Chain, node: ast.Call) -> None:
        """``sys.modules.setdefault(key, ...)``, ``sys.modules.update({key: ...})``"""
        if isinstance(node.func, ast.Attribute) and is_sys_modules(node.func.value) and node.args:
            self._notice_module_keys(node.args[0])

    def _notice_patched_modules(self, chain: Chain, node: ast.Call) -> None:
        """``patch.dict("sys.modules", {key: ...})``"""
        if node.args and (text_of(node.args[0]) == "sys.modules" or is_sys_modules(node.args[0])):
            for argument in node.args[1:]:
                self._notice_module_keys(argument)

    def _notice_module_keys(self, node: ast.expr) -> None:
        keys = node.keys if isinstance(node, ast.Dict) else [node]
        for key in keys:
            if key is not None:
                self._notice_module_key(key, installs=True)

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
                self.module.stars.append((self.tick(), self.block, self.add(_RawBinding(STAR, index))))
            else:
                binding = self.add(_RawBinding(FROM, index))
                before = self.block
                if node.level == 1 and not node.module:
                    # ``from . import x`` brings what the package has already bound, if that is where it stands.
                    self.block = self.blocks.new(before)
                self.bind(alias.asname or alias.name, binding)
                self.block = before

    def _import(self, level: int, module: str, name: str | None, node: ast.alias, statement: ast.stmt) -> int:
        self.imports.append(
            Import(
                level=level,
                module=module,
                name=name,
                line=node.lineno,
                column=self.source.column(node.lineno, node.col_offset),
                scope=self.scope.index,
                flags=self.flags,
                statement=(
                    statement.lineno,
                    self.source.column(statement.lineno, statement.col_offset),
                ),
                fallback=self.fallback,
            )
        )
        return len(self.imports) - 1

    def assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self.raw_expr(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._define(target, node)
                self._assign_name(target.id, node.value, value)
            else:
                self.bind_target(target)
                if self.open_class is not None and self.scope.kind == "class":
                    self.open_class.values.extend(stored_names(target))

    def _define(self, target: ast.Name, node: ast.Assign | ast.AnnAssign) -> None:
        """A name gets a value of its own: no other name for something."""
        if self.scope is self.module and chain_of(node.value or target) is None:
            self._definition(CONSTANT, target.id, node)

    def _definition(self, kind: int, name: str, node: ast.stmt) -> None:
        column = self.source.column(node.lineno, node.col_offset)
        self.definitions.append(Definition(kind, name, node.lineno, column, node.end_lineno or node.lineno))

    def _assign_name(self, name: str, node: ast.expr, value: _RawExpr | None) -> None:
        if self.scope is self.module and name == "__all__":
            if self.block == self.module.block or self.public is None:
                self.public = []  # in a branch, the names of all branches count
            self._change_public("extend", [node])
        if self.open_class is not None and self.scope.kind == "class":
            if name == "_ignore_":
                self.open_class.ignored = tuple(texts_of(node) or ())
            elif not isinstance(node, ast.Lambda):
                self.open_class.values.append(name)
                if (text := text_of(node)) is not None:
                    self.open_class.texts.append((name, text, node.lineno))
        if isinstance(node, ast.Constant) and node.value is None:
            # ``E = None`` is how a fallback says "absent": no candidate of its own, yet the name exists.
            self.bind(name, ABSENT)
            return
        self.bind(name, self.add(_RawBinding(ALIAS, 0, value)) if value is not None else OPAQUE)

    def annotated_assign(self, node: ast.AnnAssign) -> None:
        self.annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            if isinstance(node.target, ast.Name):
                self._define(node.target, node)
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

    def type_alias(self, node: Any) -> None:
        """``type X = ...`` (Python 3.12); the right side is only evaluated when somebody asks."""
        self.inside([node.value], flags=self.flags | TYPE_CHECKING)
        self.bind(node.name.id)

    def _change_public(self, how: str, values: list[ast.expr]) -> None:
        """Follows ``__all__``; what can't be read makes it unknown, and then nothing relies on it."""
        names: list[str] | None = None
        if len(values) == 1:
            if how == "extend":
                names = texts_of(values[0])
            elif (text := text_of(values[0])) is not None:
                names = [text]
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
                self.bind(target.id, UNBOUND)
            else:
                self.visit(target)

    # --- functions and classes -------------------------------------------------------------------------------------

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
        for argument in arguments_of(arguments):
            if argument.annotation is not None:
                flags = self.flags | TYPE_CHECKING if self.lazy_annotations else None
                self.inside([argument.annotation], flags=flags)

    def _bind_arguments(self, arguments: ast.arguments) -> None:
        for argument in arguments_of(arguments):
            self.bind(argument.arg)

    def _bind_type_parameters(self, node: ast.AST) -> None:
        for parameter in getattr(node, "type_params", ()):
            self.bind(parameter.name)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.all(node.decorator_list)
        self._arguments_outside(node.args)
        if node.returns is not None:
            self.inside([node.returns], flags=self.flags | TYPE_CHECKING if self.lazy_annotations else None)
        if self.scope is self.module:
            self._definition(FUNCTION, node.name, node)
        self.bind(node.name)
        state = self.enter("function", node.name)
        self.open_class = None
        self.scope.globals, self.scope.nonlocals = declared_globals(node.body)
        self._bind_type_parameters(node)
        self._bind_arguments(node.args)
        self.all(node.body)
        self.leave(state)

    def class_(self, node: ast.ClassDef) -> None:
        self.all(node.decorator_list)
        self.all(node.bases)
        outer = self.scope_names[self.scope.index]
        found = _RawClass(node, f"{outer}.{node.name}" if outer else node.name)
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            found.decorators.append(self.raw_expr(called))
            # ``enum.global_enum`` makes the members names of the module.
            self.dynamic |= last_name(called) == "global_enum"
        for base in node.bases:
            found.bases.append(self.raw_expr(base.value if isinstance(base, ast.Subscript) else base))
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
        found.dynamic |= any(isinstance(statement, COMPOUND) for statement in node.body)
        self._bind_type_parameters(node)
        self.all(node.body)
        self.leave(state)
        self.bind(node.name, self.add(_RawBinding(CLASS, index)))

    # --- statements that branch --------------------------------------------------------------------------------------

    def if_(self, node: ast.If) -> None:
        test = node.test
        self.visit(test)
        flags = self.flags | (CONDITIONAL if asks_environment(test) else 0)
        body_flags, else_flags = flags, flags
        if is_never_run(test):
            body_flags |= TYPE_CHECKING
        elif isinstance(test, ast.UnaryOp) and is_never_run(test.operand):
            else_flags |= TYPE_CHECKING
        elif is_main_check(test):
            body_flags &= ~IMPORT_TIME
        statement = self.blocks.statement_id()
        body, orelse = (self.blocks.new(self.block, statement=statement) for _ in range(2))
        self.inside(node.body, block=body, flags=body_flags, asked=asked_chains(test))
        self.inside(node.orelse, block=orelse, flags=else_flags, asked=denied_chains(test))
        if not node.orelse and leaves(node.body):
            self.asked += denied_chains(test)  # holds for the rest of this block

    def assert_(self, node: ast.Assert) -> None:
        self.visit(node.test)
        self.all([node.msg])
        self.asked += asked_chains(node.test)

    def try_(self, node: ast.Try | ast.TryStar) -> None:
        # The body is a block of its own: an exception can leave it before any of its bindings.
        body = self.blocks.new(self.block, attempt=True)
        first = len(self.imports)
        self.inside(node.body, block=body, flags=self.flags | guard_of_handlers(node.handlers))
        imports = (first, len(self.imports))
        before = (self.block, self.fallback)
        for handler in node.handlers:
            self.all([handler.type])
            self.block = self.blocks.new(before[0])
            if caught(handler.type) & GUARD_IMPORT and imports[0] != imports[1]:
                self.fallback = imports
            if handler.name:
                self.bind(handler.name)
            self.inside(handler.body)
            if handler.name:
                self.bind(handler.name, UNBOUND)
            self.block, self.fallback = before
        self.inside(node.orelse, block=body)
        self.all(node.finalbody)

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        guard = 0
        for item in node.items:
            self.visit(item.context_expr)
            guard |= guard_of_context(item.context_expr)
            if item.optional_vars is not None:
                self.bind_target(item.optional_vars)
        block = self.blocks.new(self.block, attempt=True) if guard else None
        self.inside(node.body, block=block, flags=self.flags | guard)

    def for_(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before, self.block = self.block, self.blocks.new(self.block, loop=True)
        self.bind_target(node.target)
        self.inside(node.body)
        self.block = before
        self.inside(node.orelse, block=self.blocks.new(before))

    def while_(self, node: ast.While) -> None:
        block = self.blocks.new(self.block, loop=True)
        self.inside([node.test], block=block)
        self.inside(node.body, block=block, asked=asked_chains(node.test))
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

    # --- after the walk: which statements can have bound the root of each chain --------------------------------------

    def run(self) -> Facts:
        self.all(self.source.tree.body)
        self.names = Names(self.blocks, self.module, self.clock + 1)
        return Facts(
            scopes=tuple(self.scope_names),
            bindings=tuple(
                Binding(b.kind, b.index, self._expr(b.value) if b.value is not None else None)
                for b in self.bindings
            ),
            imports=tuple(self.imports),
            classes=tuple(self._class(c) for c in self.classes),
            names=self.names.at_end(self.module),
            stars=tuple(binding for _, _, binding in self.module.stars),
            public=self._public(),
            dynamic=self.dynamic,
            packed_references=packed_rows(self._references()),
            patches=tuple(self._patches()),
            installed=tuple(self.installed),
            built=tuple(self.built),
            packed_definitions=packed_rows(self.definitions),
            literals=packed_literals(self.literals),
        )

    def _public(self) -> tuple[str, ...] | None:
        if self.public is None or not self.public_is_known:
            return None
        # Mostly nothing but its own statements mentions ``__all__``.
        if self.source.count(b"__all__") > 1 and any(
            hands_out("__all__", node, self.public_calls) for node in ast.walk(self.source.tree)
        ):
            return None
        return tuple(self.public)

    def _references(self) -> Iterator[Reference]:
        grouped: dict[
            tuple[tuple[int, ...], str, tuple[str, ...], str | None], list[tuple[int, int, int, int]]
        ] = {}
        has_stars = bool(self.module.stars)
        for raw in self.references:
            is_bare = not raw.attributes and raw.key is None
            is_told = has_stars or raw.root in (self.named if is_bare else self.telling)
            if not (is_told or (is_bare and raw.root in _NOTED_BUILTINS)):
                continue  # ``self`` and its like: no statement of this file says what it is
            candidates = self.names.candidates(raw.root, raw.scope, raw.block, raw.order)
            if is_bare and not self._is_worth_noting(raw.root, candidates):
                continue
            if not is_bare and not any(c >= 0 for c in candidates):
                continue
            place = (raw.line, self.source.column(raw.line, raw.column), raw.scope.index, raw.flags)
            grouped.setdefault((candidates, raw.root, raw.attributes, raw.key), []).append(place)
        for (candidates, root, attributes, key), places in grouped.items():
            yield Reference(Expr(candidates, root, attributes), key, tuple(places))

    def _is_worth_noting(self, name: str, candidates: tuple[int, ...]) -> bool:
        """Whether a bare name says more than that the file uses what it defines itself."""
        if not candidates:
            return name in _NOTED_BUILTINS
        return any(c >= 0 and self.bindings[c].kind != CLASS for c in candidates)

    def _patches(self) -> Iterator[Patch]:
        for raw in self.patches:
            expr = self._expr(raw.target)
            if any(c >= 0 for c in expr.candidates):
                yield Patch(expr, raw.attribute, raw.import_time)

    def _expr(self, raw: _RawExpr) -> Expr:
        candidates = self.names.candidates(raw.root, raw.scope, raw.block, raw.order)
        return Expr(candidates, raw.root, raw.attributes)

    def _class(self, raw: _RawClass) -> Class:
        assert raw.scope is not None
        node = raw.node
        return Class(
            name=node.name,
            qualname=raw.qualname,
            line=node.lineno,
            column=self.source.column(node.lineno, node.col_offset),
            end_line=node.end_lineno or node.lineno,
            bases=tuple(self._expr(b) if b is not None else None for b in raw.bases),
            metaclass=self._expr(raw.metaclass) if raw.metaclass is not None else None,
            decorators=tuple(self._expr(d) if d is not None else None for d in raw.decorators),
            names=self.names.at_end(raw.scope),
            values=tuple(dict.fromkeys(raw.values)),
            ignored=raw.ignored,
            dynamic=raw.dynamic,
            texts=tuple(raw.texts),
        )


_HANDLERS: dict[type[ast.AST], Callable[[_Extractor, Any], None]] = {
    ast.Name: _Extractor.name,
    ast.Constant: _Extractor.constant,
    ast.Expr: _Extractor.expression_statement,
    ast.JoinedStr: _Extractor.joined_string,
    ast.Pass: _Extractor.skip,
    ast.Break: _Extractor.skip,
    ast.Continue: _Extractor.skip,
    ast.Attribute: _Extractor.attribute,
    ast.Subscript: _Extractor.subscript,
    ast.Call: _Extractor.call,
    ast.Compare: _Extractor.compare,
    ast.Import: _Extractor.import_,
    ast.ImportFrom: _Extractor.import_from,
    ast.FunctionDef: _Extractor.function,
    ast.AsyncFunctionDef: _Extractor.function,
    ast.Lambda: _Extractor.lambda_,
    ast.ClassDef: _Extractor.class_,
    ast.Assign: _Extractor.assign,
    ast.AnnAssign: _Extractor.annotated_assign,
    ast.AugAssign: _Extractor.augmented_assign,
    ast.NamedExpr: _Extractor.named_expression,
    ast.For: _Extractor.for_,
    ast.AsyncFor: _Extractor.for_,
    ast.While: _Extractor.while_,
    ast.If: _Extractor.if_,
    ast.IfExp: _Extractor.conditional,
    ast.BoolOp: _Extractor.boolean,
    ast.Assert: _Extractor.assert_,
    ast.Try: _Extractor.try_,
    ast.TryStar: _Extractor.try_,
    ast.With: _Extractor.with_,
    ast.AsyncWith: _Extractor.with_,
    ast.Match: _Extractor.match,
    ast.MatchAs: _Extractor.match_capture,
    ast.MatchStar: _Extractor.match_capture,
    ast.MatchMapping: _Extractor.match_mapping,
    ast.Global: _Extractor.global_,
    ast.Nonlocal: _Extractor.nonlocal_,
    ast.Delete: _Extractor.delete,
    ast.ListComp: _Extractor.comprehension,
    ast.SetComp: _Extractor.comprehension,
    ast.GeneratorExp: _Extractor.comprehension,
    ast.DictComp: _Extractor.comprehension,
}
if sys.version_info >= (3, 12):
    _HANDLERS[ast.TypeAlias] = _Extractor.type_alias
if sys.version_info >= (3, 14):
    _HANDLERS[ast.TemplateStr] = _Extractor.joined_string
# Calls that say something about names, by the last name of what is called.
_NOTICES: dict[str, Callable[[_Extractor, Chain, ast.Call], None]] = {
    "__import__": _Extractor._notice_own_import,
    "append": _Extractor._notice_change,
    "declare_namespace": _Extractor._notice_namespace_package,
    "delattr": _Extractor._notice_attribute,
    "dict": _Extractor._notice_patched_modules,
    "exec": _Extractor._notice_exec,
    "extend": _Extractor._notice_change,
    "extend_enum": _Extractor._notice_attribute,
    "globals": _Extractor._notice_globals,
    "import_module": _Extractor._notice_own_import,
    "insert": _Extractor._notice_change,
    "locals": _Extractor._notice_exec,
    "object": _Extractor._notice_attribute,
    "remove": _Extractor._notice_change,
    "setattr": _Extractor._notice_attribute,
    "setdefault": _Extractor._notice_installation,
    "update": _Extractor._notice_installation,
    "vars": _Extractor._notice_exec,
    **dict.fromkeys(_COMPILING, _Extractor._notice_compilation),
    **dict.fromkeys(_FILLING, _Extractor._notice_filling),
}
