"""What galeph shows to its users: one list for each module, and it is the truth."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from textwrap import dedent

import pytest

import galeph
from tests.architecture import is_public, name_of, package_files


def public_modules():
    """The dotted names of all modules a user may import and find names in."""
    names = map(name_of, package_files())
    return [name for name in names if is_public(name) and name != "galeph.testing.patch_all"]


def own_names(module):
    """The public names of the classes and functions a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and isinstance(value, type | type(public_modules))
        and value.__module__ == module.__name__
    }


@pytest.fixture(params=public_modules())
def module(request):
    return importlib.import_module(request.param)


class TestLists:
    def test_every_listed_name_exists(self, module):
        """Whatever `__all__` promises can be reached."""
        missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]

        assert [] == missing

    def test_no_name_twice(self, module):
        """`__all__` lists a name once."""
        listed = list(getattr(module, "__all__", ()))

        assert sorted(set(listed)) == sorted(listed)

    def test_nothing_public_is_unlisted(self, module):
        """A class or function a module defines is in `__all__`, or begins with an underscore."""
        listed = set(getattr(module, "__all__", ()))
        hooks = {name for name in vars(module) if name.startswith("pytest_")}

        assert set() == own_names(module) - listed - hooks

    def test_shown_under_a_public_path(self, module):
        """A listed class or function says it comes from where a user can import it."""
        wrong = {}
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            home = getattr(value, "__module__", None)
            if not isinstance(value, type) and not callable(value):
                continue
            if home is None or not home.startswith("galeph"):
                continue
            found = getattr(importlib.import_module(home), value.__name__, None)
            if not is_public(home) or found is not value:
                wrong[name] = home

        assert {} == wrong


class TestThePackage:
    def test_modules_are_reached_by_attribute(self):
        """`galeph.http` works after `import galeph` alone, for every module of the list."""
        modules = [name for name in galeph.__all__ if name.islower() and not name.startswith("_")]

        assert "http" in modules
        for name in modules:
            assert importlib.import_module(f"galeph.{name}") is getattr(galeph, name)

    def test_top_level_modules_are_listed(self):
        """Every public module of the first level is in the package's list."""
        found = {info.name for info in pkgutil.iter_modules(galeph.__path__)}
        public = {name for name in found if not name.startswith("_")}
        inside = {"adapters", "cli", "message", "protocol", "transport"}

        assert public - inside == {n for n in galeph.__all__ if n in found}

    def test_dir_is_the_list(self):
        """Completion in a shell offers exactly the public names."""
        assert sorted(galeph.__all__) == dir(galeph)

    def test_unknown_name(self):
        """An unknown name is an AttributeError that says which."""
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = galeph.nothing

    def test_version(self):
        """The version is three numbers."""
        assert 3 == len([int(part) for part in galeph.__version__.split(".")])


class TestImporting:
    def test_the_package_is_light(self):
        """`import galeph` alone loads neither gevent nor a protocol library."""
        loaded = modules_after("import galeph, galeph.testing.plugin")

        assert set() == loaded & {"gevent", "greenlet", "h11", "h2", "wsproto", "ssl", "asyncio"}

    def test_makes_no_hub_and_no_thread(self):
        """Importing a module, any of them, makes no hub, no thread and no socket."""
        code = f"""
            import importlib, os, threading

            def sockets():
                entries = [f"/proc/self/fd/{{fd}}" for fd in os.listdir("/proc/self/fd")]
                names = {{os.readlink(entry) for entry in entries if os.path.lexists(entry)}}
                return {{name for name in names if name.startswith("socket:")}}

            before = sockets()
            for name in {public_modules()}:
                importlib.import_module(name)
                from gevent._hub_local import get_hub_if_exists
                assert get_hub_if_exists() is None, f"{{name}} makes a hub"
                assert threading.active_count() == 1, f"{{name}} makes a thread"
                assert sockets() == before, f"{{name}} makes a socket"
        """
        loaded = modules_after(dedent(code))

        assert "galeph" in loaded

    def test_all_of_it_patches_nothing(self):
        """Importing everything leaves the standard library as it was."""
        code = "; ".join(f"import {name}" for name in public_modules())
        modules_after(f"{code}; from gevent import monkey; assert not monkey.saved")

    def test_early_patching_is_not_too_late(self):
        """Patching after `import galeph` gives no warning: ssl has not been imported before it."""
        modules_after(
            "import warnings; warnings.simplefilter('error'); import galeph; "
            "from gevent import monkey; monkey.patch_all()"
        )


def modules_after(code):
    """The top-level modules a fresh interpreter has loaded after running some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
