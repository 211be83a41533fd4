"""What holds for every test of galeph: debug checks on, marks recorded, a heap quick to scan."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

from tests.parity.recorder import Recorder
from tests.properties.budgets import LONG, register_long_form

# Before galeph is imported, which the conftest of a folder below may do before `pytest_configure`:
# misuse from a foreign thread raises instead of corrupting a stream.
os.environ["GALEPH_DEBUG"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms of long tests")
    parser.addoption("--no-record", action="store_true", help="leave the parity record alone")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config), "galeph-parity-recorder")
    register_long_form()
    if config.getoption("--long"):
        settings.load_profile(LONG)


@pytest.fixture
def long_form(pytestconfig: pytest.Config) -> bool:
    """Whether a test marked ``long`` is to run in full, not in the short form CI has time for."""
    return bool(pytestconfig.getoption("--long"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    # The leak oracle walks every tracked object, and collects, several times a test. What was
    # there before the test is frozen out of its way: 100 ms a test become 1.
    gc.collect()
    gc.freeze()
