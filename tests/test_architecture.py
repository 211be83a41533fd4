"""The package follows its plan, and the rules would notice if it did not."""

from __future__ import annotations

import re
from dataclasses import fields
from textwrap import dedent

import pytest

from galeph.http import Limits, Timeouts
from tests import architecture as plan

RULES = [
    plan.wrong_imports,
    plan.impure_calls,
    plan.over_budget,
    plan.missing_all,
    plan.missing_opening,
    plan.module_state,
    plan.missing_test,
]


class TestThePackage:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_follows_the_rule(self, rule):
        """No module of the package breaks the rule."""
        problems = [
            problem
            for path in plan.package_files()
            for problem in rule(plan.name_of(path), path.read_text(encoding="utf-8"))
        ]

        assert not problems, "\n".join(problems)

    def test_names_say_something(self):
        """No module is called utils, helpers or common."""
        problems = [p for path in plan.package_files() for p in plan.wrong_name(plan.name_of(path))]

        assert [] == problems

    def test_the_files_are_found(self):
        """The rules have looked at the package: its first and last layers are among the files."""
        names = {plan.name_of(path) for path in plan.package_files()}

        assert {"galeph", "galeph.errors", "galeph.testing.plugin"} <= names

    @pytest.mark.parametrize(("options", "group"), [(Limits, "limits"), (Timeouts, "timeouts")])
    def test_every_option_does_something(self, options, group):
        """Every field of an option group is read somewhere: none only stands there."""
        read = {
            name
            for path in plan.package_files()
            for name in plan.options_read(path.read_text(encoding="utf-8"), group)
        }

        assert [] == [one.name for one in fields(options) if one.name not in read]

    def test_every_folder_of_tests_is_a_package(self):
        """Every folder with tests has an __init__.py, so that names never clash."""
        folders = {path.parent for path in plan.TESTS.rglob("test_*.py")}

        assert [] == [folder for folder in folders if not (folder / "__init__.py").exists()]


class TestTheTables:
    def test_exceptions_are_still_needed(self):
        """An exception that no module needs any more is taken out of its table."""
        files = {plan.name_of(path): path for path in plan.package_files()}
        needless = [module for module in plan.TESTED_ELSEWHERE if module not in files]
        for module, name in plan.ALLOWED_STATE:
            text = files[module].read_text(encoding="utf-8") if module in files else ""
            if not re.search(rf"^{name}\b", text, re.MULTILINE):
                needless.append(f"{module}.{name}")

        assert [] == needless

    def test_no_cycle_between_layers(self):
        """The plan has an order: no layer may import one that may import it."""
        pairs = [
            (one, other)
            for one, allowed in plan.LAYERS.items()
            for other in allowed
            if one in plan.LAYERS[other]
        ]

        assert [] == pairs


def broken(rule, source, module="galeph.message.headers"):
    """What one rule has to say about a source text."""
    return list(rule(module, dedent(source)))


class TestImportRule:
    @pytest.mark.parametrize(
        ("module", "statement"),
        [
            ("galeph.message.headers", "from galeph.http import Request"),
            ("galeph.message.headers", "from galeph import http"),
            ("galeph.message.headers", "import galeph.protocol.events"),
            ("galeph.protocol.h1.engine", "from galeph.transport.base import Transport"),
            ("galeph.transport.sockets", "from galeph.http import Request"),
            ("galeph.transport.sockets", "from galeph.message.headers import Headers"),
            ("galeph.errors", "from galeph.clock import Clock"),
            ("galeph.stream.queue_stream", "from galeph.byte_streams import to_bytes"),
            ("galeph.tcp", "from galeph.message.headers import Headers"),
            ("galeph.tcp", "from galeph.http import Request"),
            ("galeph.http.server", "from galeph.tcp import start_server"),
            ("galeph.adapters.gunicorn", "from galeph.transport.base import Transport"),
            ("galeph.testing.plugin", "from galeph.cli import main"),
            ("galeph.stream.queue_stream", "from galeph import GalephError"),
            ("galeph.stream.queue_stream", "from .waiters import Waiter"),
            ("galeph.http.server", "import httptools"),
            ("galeph.transport.names", "import dns.resolver"),
            ("galeph.transport.names", "from dns import message"),
            ("galeph.transport.names", "from galeph import dns"),
            ("galeph.stream.queue_stream", "import h11"),
            ("galeph.brand_new", "import json"),
        ],
    )
    def test_against_the_table(self, module, statement):
        """An import the table does not have is a violation, one and only one."""
        (problem,) = broken(plan.wrong_imports, f'"""Opening."""\n{statement}\n', module)

        assert problem.startswith(module)

    @pytest.mark.parametrize(
        ("module", "statement"),
        [
            ("galeph.message.headers", "from galeph.errors import GalephError"),
            ("galeph.message.headers", "from galeph.message.fields import is_token"),
            ("galeph.protocol.h1.engine", "import h11"),
            ("galeph.transport.sockets", "import socket, gevent, os"),
            ("galeph.http.server", "from galeph.transport.base import Transport"),
            ("galeph.http.server", "from galeph import deferred, stream"),
            ("galeph.cli.serve", "from galeph import GalephError, http"),
            ("galeph.testing.contracts", "from galeph.transport.base import Transport"),
        ],
    )
    def test_within_the_table(self, module, statement):
        """An import the table has is none."""
        assert [] == broken(plan.wrong_imports, statement, module)

    @pytest.mark.parametrize(
        "name", ["gevent", "socket", "ssl", "time", "threading", "os", "logging", "random", "uuid"]
    )
    @pytest.mark.parametrize("module", ["galeph.message.dates", "galeph.protocol.h1.engine"])
    def test_pure_layers(self, module, name):
        """The pure layers import nothing that waits, logs, or looks at clock or machine."""
        (problem,) = broken(plan.wrong_imports, f"import {name}", module)

        assert "in a pure layer" in problem

    @pytest.mark.parametrize(
        "statement",
        [
            "from time import time",
            "from time import monotonic as tick",
            "from time import perf_counter_ns",
            "import time as anything",
            "from timeit import default_timer",
            "from os import urandom",
            "from random import randbytes",
            "from secrets import token_bytes",
            "from uuid import uuid4",
            "from email.utils import formatdate",
            "import os.path",
            "clock = __import__('time')",
            "clock = importlib.import_module('time')",
        ],
    )
    @pytest.mark.parametrize("module", ["galeph.message.dates", "galeph.protocol.h1.engine"])
    def test_clocks_and_chance(self, module, statement):
        """No way of importing a clock or random bytes gets past."""
        (problem,) = broken(plan.wrong_imports, statement, module)

        assert "in a pure layer" in problem

    def test_hidden_imports(self):
        """An import inside a function, for types only, or by import_module counts as well."""
        problems = broken(
            plan.wrong_imports,
            """
            from importlib import import_module
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from galeph.http import Request
            def f():
                from gevent.event import Event
                import_module("galeph.stream")
            """,
        )

        assert 3 == len(problems)

    def test_imports_added_to_a_real_module(self):
        """A real module passes, and fails once an import against the table is added to it."""
        path = plan.PACKAGE / "message" / "headers.py"
        text = path.read_text(encoding="utf-8")

        assert [] == list(plan.wrong_imports("galeph.message.headers", text))
        assert 1 == len(
            list(plan.wrong_imports("galeph.message.headers", text + "\nimport galeph.http\n"))
        )


class TestImpureCallsRule:
    @pytest.mark.parametrize(
        "source",
        [
            "x = datetime.now()",
            "x = datetime.datetime.now(UTC)",
            "x = d.utcnow()",
            "x = date.today()",
            "now = datetime.now",
            "def f(now=datetime.now): pass",
            "x = getattr(datetime, 'now')()",
            "with open('/etc/hosts') as file: pass",
            "print('x')",
            "x = input()",
        ],
    )
    @pytest.mark.parametrize("module", ["galeph.message.dates", "galeph.protocol.h1.engine"])
    def test_pure_layers(self, module, source):
        """What needs no import, or one that is given, and looks at clock or machine is seen."""
        (problem,) = broken(plan.impure_calls, source, module)

        assert "in a pure layer" in problem

    @pytest.mark.parametrize(
        "source",
        [
            "x = datetime(2026, 1, 1)",
            "def f(now): return now + 1",
            "x = datetime.fromtimestamp(now, UTC)",
            "self.open()",
        ],
    )
    def test_pure(self, source):
        """To be told what time it is is none."""
        assert [] == broken(plan.impure_calls, source)

    def test_other_layers(self):
        """The others may look at what they like."""
        assert [] == broken(plan.impure_calls, "x = datetime.now()", "galeph.http.service")


class TestBudgetRule:
    @pytest.mark.parametrize(("lines", "expected"), [(500, 0), (501, 1)])
    def test_module_lines(self, lines, expected):
        """A module has at most 500 lines."""
        assert expected == len(broken(plan.over_budget, "x = 1\n" * lines))

    @pytest.mark.parametrize(("lines", "expected"), [(60, 0), (61, 1)])
    def test_function_lines(self, lines, expected):
        """A function's body has at most 60 lines, its docstring not counted."""
        body = '    """Says\n    much.\n    """\n' + "    x = 1\n" * lines

        assert expected == len(broken(plan.over_budget, f"def f():\n{body}"))

    @pytest.mark.parametrize(
        ("head", "expected"),
        [
            ("def f(a, b, c, d, e):", 0),
            ("def f(a, b, c, d, e, f):", 1),
            ("def f(a, /, b, c, d, e, f):", 1),
            ("def f(a, b, c, d, e, *, f, g):", 0),
            ("def f(self, b, c, d, e, f):", 0),
        ],
    )
    def test_positional_parameters(self, head, expected):
        """A function takes at most five arguments positionally, besides self."""
        assert expected == len(broken(plan.over_budget, f"{head}\n    pass"))

    def test_function_of_a_docstring_only(self):
        """A function that is only its docstring has no lines."""
        assert [] == broken(plan.over_budget, 'def f():\n    """Says it."""')


class TestNameRules:
    @pytest.mark.parametrize("name", ["utils", "_utils", "helpers", "common"])
    def test_names_without_an_owner(self, name):
        """utils, helpers and common are refused."""
        assert 1 == len(list(plan.wrong_name(f"galeph.http.{name}")))

    def test_public_module_without_all(self):
        """A public module that binds names needs __all__; a private or empty one does not."""
        source = "def f(): pass"

        assert 1 == len(broken(plan.missing_all, source))
        assert [] == broken(plan.missing_all, source, "galeph.http._parser")
        assert [] == broken(plan.missing_all, '"""Opening."""')
        assert [] == broken(plan.missing_all, f'__all__ = ["f"]\n{source}')

    def test_module_without_opening(self):
        """A module with anything in it opens with a docstring."""
        assert 1 == len(broken(plan.missing_opening, "x = 1"))
        assert [] == broken(plan.missing_opening, "")


class TestStateRule:
    @pytest.mark.parametrize(
        "source",
        [
            "seen = set()",
            "seen: dict[str, int] = {}",
            "seen = []",
            "lock = threading.Lock()",
            "numbers = itertools.count()",
            "current = 1\ndef f():\n    global current\n    current = 2",
            "table = {1: 2}\ndef f():\n    table[3] = 4",
            "table = {1: 2}\ndef f():\n    table.update({3: 4})",
            "names = ['a']\ndef f():\n    names.append('b')",
            "table = {1: 2}\ndef f():\n    del table[1]",
        ],
    )
    def test_state(self, source):
        """A module-level thing that changes is a violation."""
        assert 1 == len(broken(plan.module_state, source))

    @pytest.mark.parametrize(
        "source",
        [
            "_CACHE_HEADS: dict[str, bytes] = {}",
            "TABLE = {1: 2}",
            "NAMES = ('a', 'b')",
            "def f():\n    seen = set()\n    seen.add(1)",
            "log = logging.getLogger('galeph')",
            "pattern = re.compile('x')",
        ],
    )
    def test_no_state(self, source):
        """A cache by its name, a constant and a local are none."""
        assert [] == broken(plan.module_state, source)

    def test_allowed_state(self):
        """The clock's default is the one module-level variable that everybody may rely on."""
        source = "_default = 1\ndef f():\n    global _default\n    _default = 2"

        assert [] == broken(plan.module_state, source, "galeph._clock")
        assert 1 == len(broken(plan.module_state, source))


class TestOptionsRule:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("x = limits.max_headers", {"max_headers"}),
            ("x = self._limits.max_headers or 1", {"max_headers"}),
            ("x = service.limits.max_headers", {"max_headers"}),
            ("limits.max_headers = 1", set()),
            ("x = other.max_headers", set()),
        ],
    )
    def test_reading(self, source, expected):
        """A field counts as read where its value is taken from the group."""
        assert expected == plan.options_read(source, "limits")


class TestPairingRule:
    def test_missing_test_file(self):
        """A module without its test file is named with the file it lacks."""
        (problem,) = broken(plan.missing_test, "def f(): pass", "galeph.http.nowhere")

        assert "galeph.http.nowhere: no tests/http/test_nowhere.py" == problem

    def test_gathering_init_needs_none(self):
        """A package's __init__ that only gathers names needs no test file."""
        source = "from a import b\ndef __getattr__(name): pass"

        assert [] == broken(plan.missing_test, source, "galeph.nowhere")
