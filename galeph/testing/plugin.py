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
import logging
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["HubError"]

_INI = "galeph_checks"
_MARK = "galeph_unchecked"
_FAILED = pytest.StashKey[bool]()
_HUB_ERRORS = pytest.StashKey[list["HubError"]]()
_UNSEEN_ERRORS = pytest.StashKey[list[str]]()


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
    config.stash[_UNSEEN_ERRORS] = []


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
    _listen_to_hub(pytestconfig)
    return pytestconfig.stash[_HUB_ERRORS]


@pytest.fixture
def galeph_unseen_errors(pytestconfig: pytest.Config) -> Callable[[], list[str]]:
    """A function that gives the errors deferreds died with unseen so far in this test.

    For tests about such errors: it collects garbage, returns each as its printed traceback, and
    what it has returned does not fail the test.
    """

    def take() -> list[str]:
        errors = pytestconfig.stash[_UNSEEN_ERRORS]
        taken = [*errors, *_take_dropped()]
        errors.clear()
        return taken

    _listen_to_deferreds(pytestconfig)
    return take


@pytest.fixture(autouse=True)
def _galeph_checks(request: pytest.FixtureRequest) -> Iterator[None]:
    config = request.config
    if not config.getini(_INI) or _is_left_out(request.node):
        yield
        return
    from galeph.testing.leaks import Snapshot

    _listen_to_hub(config)
    _listen_to_deferreds(config)
    _take_dropped()
    hub_errors, unseen_errors = config.stash[_HUB_ERRORS], config.stash[_UNSEEN_ERRORS]
    hub_errors.clear()
    unseen_errors.clear()
    before = Snapshot()
    yield
    if request.node.stash.get(_FAILED, False):
        return
    problems = [str(leaks)] if (leaks := before.leaks()) else []
    problems += [f"printed by the hub, in {e.context}:\n{e.traceback}" for e in hub_errors]
    problems += [f"an error nobody saw: {text}" for text in [*unseen_errors, *_take_dropped()]]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _is_left_out(item: pytest.Item) -> bool:
    mark = item.get_closest_marker(_MARK)
    if mark is None:
        return False
    if not (mark.args or mark.kwargs.get("reason")):
        raise pytest.UsageError(f"{item.nodeid}: mark {_MARK} needs its reason")
    return True


def _listen_to_hub(config: pytest.Config) -> None:
    """Have every hub record what it prints, until the run ends."""
    from gevent.hub import Hub

    printing = Hub.print_exception
    if getattr(printing, "_records_for", None) is config:
        return

    def print_exception(
        self: Any, context: object, t: Any, v: BaseException | None, tb: Any
    ) -> None:
        text = "".join(traceback.format_exception(t, v, tb))
        config.stash[_HUB_ERRORS].append(HubError(repr(context), t, str(v), text))
        printing(self, context, t, v, tb)

    print_exception._records_for = config  # type: ignore[attr-defined]  # a mark on a function
    setattr(Hub, "print_exception", print_exception)  # noqa: B010  (the hub has no other hook)
    config.add_cleanup(lambda: setattr(Hub, "print_exception", printing))


def _listen_to_deferreds(config: pytest.Config) -> None:
    """Record the unseen errors that galeph has already logged, until the run ends."""
    logger = logging.getLogger("galeph.deferred")
    if any(isinstance(handler, _UnseenErrorHandler) for handler in logger.handlers):
        return
    handler = _UnseenErrorHandler(config.stash[_UNSEEN_ERRORS])
    logger.addHandler(handler)
    config.add_cleanup(lambda: logger.removeHandler(handler))


class _UnseenErrorHandler(logging.Handler):
    """Keeps what is logged about deferreds that died in an error."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "_dropped" and record.exc_info:
            self._errors.append("".join(traceback.format_exception(record.exc_info[1])))


def _take_dropped() -> list[str]:
    """The errors that deferreds died with and that are not logged yet, as text."""
    deferred = sys.modules.get("galeph.deferred")
    if deferred is None:
        return []
    gc.collect()
    return ["".join(traceback.format_exception(error)) for error in deferred.take_dropped()]
