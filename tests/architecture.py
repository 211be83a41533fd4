"""The plan of the package, as rules a machine can hold.

`LAYERS` is the plan: who may import whom. The functions below each take a module's name and its
source text and give the violations they see, as lines for the one who has to mend them; none of
them imports the module. `tests/test_architecture.py` runs them over the package, and over texts
that break each rule. Who changes the plan writes the reason into ``docs/decisions/`` and changes
the table in the same commit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "galeph"
TESTS = ROOT / "tests"

# -- the plan

_VALUES = {"errors", "_arguments", "clock", "deferred", "stream"}
_COERCIONS = {"bus", "executor", "byte_streams"}
_PURE = {"message", "protocol"}
_NETWORK = {"transport"}

# Layer: the layers it may import, beside itself, the standard library and gevent. A module of the
# package's top level is a layer of its own, a folder is one.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    # what every layer asks of arguments (docs/decisions/0007-arguments-at-the-bottom.md)
    "_arguments": set(),
    # how bytes are shown (docs/decisions/0011-hex-dump-at-the-bottom.md)
    "_hex_dump": set(),
    # what a clock is, for deferreds; `clock` shows it, and has calls that return deferreds
    # (docs/decisions/0005-clock-below-deferreds.md)
    "_clock": {"errors"},
    "deferred": {"errors", "_arguments", "_clock"},
    "clock": {"errors", "_arguments", "_clock", "deferred"},
    "stream": {"errors", "_arguments", "clock", "deferred"},
    "bus": _VALUES,
    "executor": _VALUES,
    "byte_streams": {"errors", "_arguments", "_hex_dump", "deferred", "stream"},
    # -- below this line galeph knows about networks
    "message": {"errors"},
    "protocol": {"errors", "message"},
    # deferred: docs/decisions/0003-layers.md
    "transport": {"errors", "_arguments", "_hex_dump", "clock", "deferred", "protocol"},
    # tls: what `tls=` may be is decided in one place (docs/decisions/0003-layers.md)
    # dns: names go to the hub's default resolver (docs/decisions/0008-resolver-below-clients.md)
    "tcp": _VALUES | _COERCIONS | {"protocol", "tls", "dns"} | _NETWORK,
    "udp": _VALUES | _COERCIONS | {"protocol", "dns"} | _NETWORK,
    "tls": _VALUES | _COERCIONS | {"protocol"} | _NETWORK,
    # tls: DNS over TLS takes `tls=` as everybody does
    "dns": _VALUES | _COERCIONS | {"protocol", "tls"} | _NETWORK,
    # docs/decisions/0009-server-options.md
    "systemd": {"errors", "clock", "deferred"},
    "http": _VALUES | _COERCIONS | _PURE | _NETWORK | {"tls", "dns"},
    "adapters": {"errors", "byte_streams", "stream", "http"},
    # tls: `--tls-self-signed` (docs/decisions/0003-layers.md)
    "cli": {"errors", "http", "tcp", "udp", "tls", "systemd", "adapters"},
    "__main__": {"cli"},
    # the package itself: the errors, and its version for whoever prints it
    "": {"errors"},
}
LAYERS["testing"] = set(LAYERS) - {"cli", "__main__"}
MAY_IMPORT_THE_PACKAGE_ITSELF = {"adapters", "cli", "testing"}

# Every third-party package a layer may import, besides gevent (with greenlet) outside the pure
# layers. What is no dependency of the core is imported inside a function.
THIRD_PARTY: dict[str, set[str]] = {
    "message": {"multidict", "multipart", "yarl"},
    "protocol": {"h11", "h2", "hpack", "multipart", "wsproto"},
    "tls": {"certifi", "cryptography"},
    "dns": {"dns"},
    "http": {"dns", "multidict", "yarl"},
    "adapters": {"gunicorn", "httpx", "locust", "requests"},
    "testing": {"cryptography", "pytest", "trustme"},
}

# Pure means pure: time and random bytes are arguments, and nothing here waits, logs or looks at
# the machine.
PURE_LAYERS = {"message", "protocol"}
FORBIDDEN_IN_PURE = set(
    """
    _random _socket _ssl _thread asyncio concurrent email fcntl gevent greenlet logging
    multiprocessing os pathlib posix queue random secrets select selectors signal socket
    socketserver ssl subprocess tempfile threading time timeit uuid warnings
    """.split()  # noqa: SIM905  (quoted one by one they read worse)
)

# What does the same and is not told by an import: datetime is given, for its arithmetic.
CLOCK_METHODS = {"now", "today", "utcnow"}
IMPURE_BUILTINS = {"breakpoint", "input", "open", "print"}

# -- the budgets

MOST_MODULE_LINES = 500
MOST_FUNCTION_LINES = 60
MOST_POSITIONAL = 5
REFUSED_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
# Modules that are one data table, exempt from the line budget.
DATA_TABLES: frozenset[str] = frozenset()

# Module-level state that is neither a cache nor a constant, each with the reason it must be there.
ALLOWED_STATE: dict[tuple[str, str], str] = {
    ("galeph.byte_streams.conversion", "_graph"): "what users teach with def_conversion",
    ("galeph._clock", "_default"): "the default clock, replaced by tests",
    ("galeph.executor.instrumented_executor", "_numbers"): "numbers executors for their names",
    ("galeph.transport.forks", "_OWNERS"): "weak: the sockets a forked child must close",
}

# Modules without a test file of their own, and what tests them instead.
TESTED_ELSEWHERE: dict[str, str] = {
    "galeph.testing.transport_contract": "tests/transport/test_contract.py runs it over them all",
    "galeph.__main__": "two lines; tests/cli runs `python -m galeph`",
    "galeph.testing.patch_all": "has no names; tests/testing/test_plugin.py runs it in a pytest",
}


# -- reading the package


def name_of(path: Path) -> str:
    """The dotted name of a module file: ``galeph.message.headers``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_files() -> list[Path]:
    """Every source file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    """The layer a module of the package belongs to; the package itself is ``""``."""
    return module.split(".")[1] if "." in module else ""


def is_public(module: str) -> bool:
    """Whether a module is reachable by names without an underscore."""
    return not any(part.startswith("_") for part in module.split("."))


# -- imports


def imports_of(source: str) -> Iterator[tuple[int, str]]:
    """Every module a source text names in an import, wherever it stands, with its line.

    ``from galeph import http`` names ``galeph.http``; ``import_module("galeph.http")`` counts too,
    and so does ``__import__``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module == "galeph":
                yield from ((node.lineno, _member(alias.name)) for alias in node.names)
            else:
                yield node.lineno, module
        elif isinstance(node, ast.Call) and _imports(ast.unparse(node.func)):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _imports(function: str) -> bool:
    return function.rpartition(".")[2] in {"import_module", "__import__"}


def _member(name: str) -> str:
    return f"galeph.{name}" if name in LAYERS else "galeph"


def wrong_imports(module: str, source: str) -> Iterator[str]:
    """Imports the plan does not have."""
    layer = layer_of(module)
    if layer not in LAYERS:
        yield f"{module}: layer {layer!r} is not in the table"
        return
    for line, name in imports_of(source):
        top = name.partition(".")[0]
        if name.startswith("."):
            yield f"{module}:{line}: relative import of {name}"
        elif top == "galeph":
            if not _may_import(layer, name):
                yield f"{module}:{line}: {layer or 'the package'} must not import {name}"
        elif layer in PURE_LAYERS and top in FORBIDDEN_IN_PURE:
            yield f"{module}:{line}: {top} in a pure layer"
        elif not _is_given(top) and top not in THIRD_PARTY.get(layer, ()):
            yield f"{module}:{line}: {layer or 'the package'} must not import {top}"


def _may_import(layer: str, name: str) -> bool:
    other = layer_of(name)
    if other == "" and layer != "":
        return layer in MAY_IMPORT_THE_PACKAGE_ITSELF
    return other == layer or other in LAYERS[layer]


def _is_given(top: str) -> bool:
    import sys

    return top in sys.stdlib_module_names or top in {"gevent", "greenlet"}


def impure_calls(module: str, source: str) -> Iterator[str]:
    """Clocks and files that a pure layer uses without an import that would tell."""
    if layer_of(module) not in PURE_LAYERS:
        return
    for node in ast.walk(ast.parse(source)):
        name = _impure_name(node)
        if name is not None:
            yield f"{module}:{node.lineno}: {name} in a pure layer"  # type: ignore[attr-defined]


def _impure_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and node.attr in CLOCK_METHODS:
        return ast.unparse(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in IMPURE_BUILTINS:
            return f"{node.func.id}()"
        if node.func.id == "getattr" and any(_is_clock_name(one) for one in node.args[1:2]):
            return ast.unparse(node)
    return None


def _is_clock_name(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Constant) and argument.value in CLOCK_METHODS


# -- budgets


def over_budget(module: str, source: str) -> Iterator[str]:
    """Modules and functions that have grown too large, and functions that ask for too much."""
    lines = len(source.splitlines())
    if lines > MOST_MODULE_LINES and module not in DATA_TABLES:
        yield f"{module}: {lines} lines, at most {MOST_MODULE_LINES}"
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        size = _body_lines(node)
        if size > MOST_FUNCTION_LINES:
            yield f"{module}:{node.lineno}: {node.name} has {size} lines of body"
        positional = [*node.args.posonlyargs, *node.args.args]
        if positional and positional[0].arg in {"self", "cls"}:
            positional = positional[1:]
        if len(positional) > MOST_POSITIONAL:
            yield f"{module}:{node.lineno}: {node.name} takes {len(positional)} positionally"


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


def wrong_name(module: str) -> Iterator[str]:
    """Modules whose name says nothing about what belongs in them."""
    last = module.rpartition(".")[2].strip("_")
    if last in REFUSED_NAMES:
        yield f"{module}: a module named {last} has no owner"


def missing_all(module: str, source: str) -> Iterator[str]:
    """Public modules that bind names without saying which are meant for others."""
    if not is_public(module):
        return
    tree = ast.parse(source)
    bound = {name for statement in tree.body for name in _bound_by(statement)}
    if "__all__" not in bound and bound - {"annotations"}:
        yield f"{module}: no __all__"


def missing_opening(module: str, source: str) -> Iterator[str]:
    """Modules that do not open with what they own."""
    if source.strip() and ast.get_docstring(ast.parse(source)) is None:
        yield f"{module}: no opening docstring"


# -- module-level state

_MUTABLE_CALLS = set(
    """
    Condition Counter Event Lock OrderedDict RLock Semaphore WeakKeyDictionary WeakSet
    WeakValueDictionary bytearray count cycle defaultdict deque local
    """.split()  # noqa: SIM905  (quoted one by one they read worse)
)
_EMPTY_CALLS = {"dict", "list", "set"}
_MUTATING_METHODS = set(
    """
    add append appendleft clear discard extend insert pop popitem popleft remove setdefault update
    """.split()  # noqa: SIM905  (quoted one by one they read worse)
)


def module_state(module: str, source: str) -> Iterator[str]:
    """Module-level names that change, or are made to change, and are neither cache nor allowed.

    A table that is filled where it is written and never touched again is a constant. What counts
    is an empty container, an object whose only use is to change, a ``global`` statement, and a
    module-level name that is changed in place.
    """
    tree = ast.parse(source)
    bound: dict[str, ast.AST] = {}
    for statement in tree.body:
        for name in _bound_by(statement):
            bound[name] = statement
    found: dict[str, int] = {}
    for name, statement in bound.items():
        value = getattr(statement, "value", None)
        if isinstance(value, ast.expr) and _is_made_to_change(value):
            found.setdefault(name, statement.lineno)  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        for name in _changed_by(node):
            if name in bound:
                found.setdefault(name, node.lineno)  # type: ignore[attr-defined]
    for name, line in found.items():
        if (
            name != "__all__"
            and not name.startswith("_CACHE_")
            and (module, name) not in ALLOWED_STATE
        ):
            yield f"{module}:{line}: module-level state {name}"


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:
        # Statements under a module-level `if` or `try` bind names too.
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _is_made_to_change(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).rpartition(".")[2]
        return name in _MUTABLE_CALLS or (name in _EMPTY_CALLS and not value.args)
    return False


def _changed_by(node: ast.AST) -> Iterator[str]:
    """Names of module level that one node changes, taking it that no local hides them."""
    if isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _MUTATING_METHODS and isinstance(node.func.value, ast.Name):
            yield node.func.value.id
    elif (
        isinstance(node, ast.Subscript)
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
    ):
        yield node.value.id


# -- options


def options_read(source: str, group: str) -> set[str]:
    """The fields of an option group that a source text reads: ``limits.max_headers``.

    A group is known by the name it is kept under, `limits` or `timeouts`, with an underscore or
    without, as a name or as an attribute.
    """
    holders = {group, f"_{group}"}
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and ast.unparse(node.value).rpartition(".")[2] in holders
    }


# -- pairing


def missing_test(module: str, source: str) -> Iterator[str]:
    """Modules without their test file: ``galeph/a/b.py`` has ``tests/a/test_b.py``.

    An ``__init__.py`` that only gathers names needs none.
    """
    if module in TESTED_ELSEWHERE or not _has_code(source):
        return
    parts = module.split(".")[1:]
    folder = TESTS.joinpath(*parts[:-1])
    stem = parts[-1].strip("_") if parts else "galeph"
    places = [folder / f"test_{stem}.py", folder / stem / f"test_{stem}.py"]
    if not any(place.exists() for place in places):
        yield f"{module}: no {places[0].relative_to(ROOT)}"


def _has_code(source: str) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("__")
        for node in ast.parse(source).body
    )
