"""The pytest plugin ``galeph``: every test is checked for what it leaves behind.

Installed with galeph and loaded by pytest on its own, so it does nothing unless the ini option
``galeph_checks = true`` is set, and imports neither gevent nor galeph until then.

With it, a test that passed is failed afterwards when

- a greenlet, a socket or other descriptor, or an active watcher is left that was not there
  before its own fixtures were set up (`galeph.testing.leaks`),
- the hub printed an exception while it ran (an exception no greenlet was there to take), or
- a deferred died in an error that nobody ever looked at.

The check is a fixture of function scope: what fixtures of wider scope keep open is there before
it looks. A test that failed by itself is not checked, since its traceback keeps alive what it was
using. ``@pytest.mark.galeph_unchecked("reason")`` leaves one test out.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["HubError"]

_INI = "galeph_checks"
_MARK = "galeph_unchecked"
_FAILED = pytest.StashKey[bool]()
_HUB_ERRORS = pytest.StashKey[list["HubError"]]()


@dataclass(frozen=True, slots=True)
class HubError:
    """An exception the hub printed, as text: the objects themselves would keep frames alive.

    Attributes:
        context: what the hub was running, by its repr.
        kind: the class of the exception.
        message: the exception's text.
        traceback: what was printed.
    """

    context: str
    kind: type[BaseException]
    message: str
    traceback: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _INI,
        "fail tests that leave a greenlet, descriptor or watcher, an exception printed by the "
        "hub, or a deferred's error that nobody saw",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARK}(reason): galeph_checks leaves this test alone, for this reason"
    )
    config.stash[_HUB_ERRORS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when != "teardown" and not report.passed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def galeph_hub_errors(pytestconfig: pytest.Config) -> list[HubError]:
    """The exceptions the hub printed during this test, oldest first.

    For tests about such exceptions: those the test expects it removes (``clear()``), what stays
    in the list fails it.
    """
    errors = pytestconfig.stash[_HUB_ERRORS]
    _listen_to_hub(errors)
    return errors


@pytest.fixture(autouse=True)
def _galeph_checks(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.config.getini(_INI) or _is_left_out(request.node):
        yield
        return
    from galeph.testing.leaks import Snapshot

    hub_errors = request.config.stash[_HUB_ERRORS]
    _listen_to_hub(hub_errors)
    hub_errors.clear()
    before = Snapshot()
    yield
    if request.node.stash.get(_FAILED, False):
        return
    problems = [str(leaks)] if (leaks := before.leaks()) else []
    problems += [f"printed by the hub, in {e.context}:\n{e.traceback}" for e in hub_errors]
    problems += [f"an error nobody saw: {text}" for text in _unseen_errors()]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _is_left_out(item: pytest.Item) -> bool:
    mark = item.get_closest_marker(_MARK)
    if mark is None:
        return False
    if not (mark.args or mark.kwargs.get("reason")):
        raise pytest.UsageError(f"{item.nodeid}: mark {_MARK} needs its reason")
    return True


def _listen_to_hub(errors: list[HubError]) -> None:
    """Have every hub record in ``errors`` what it prints. Done once for the process."""
    from gevent.hub import Hub

    printing = Hub.print_exception
    if getattr(printing, "_records_for_galeph", False):
        return

    def print_exception(
        self: Any, context: object, t: Any, v: BaseException | None, tb: Any
    ) -> None:
        text = "".join(traceback.format_exception(t, v, tb))
        errors.append(HubError(repr(context), t, str(v), text))
        printing(self, context, t, v, tb)

    print_exception._records_for_galeph = True  # type: ignore[attr-defined]  # a mark on a function
    setattr(Hub, "print_exception", print_exception)  # noqa: B010  (the hub has no other hook)


def _unseen_errors() -> list[str]:
    """The errors that deferreds died with unseen since the last call."""
    if "galeph.deferred" not in sys.modules:
        return []
    gc.collect()
    return []
