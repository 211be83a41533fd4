"""The contract of the engines."""

import inspect

import pytest

from galeph.protocol.engine import Engine, Role
from galeph.protocol.events import NEED_DATA
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits

CONTRACT = {
    name: member
    for name, member in vars(Engine).items()
    if not name.startswith("_") and (callable(member) or isinstance(member, property))
}


class TestRole:
    def test_is_one_of_two(self):
        """One engine serves both; which one it plays is an argument."""
        assert {"client", "server"} == {role.value for role in Role}


class TestContract:
    @pytest.mark.parametrize("name", CONTRACT)
    def test_is_what_the_http_1_engine_offers(self, name):
        """Every call of the contract is there, with the same parameters."""
        ours = inspect.getattr_static(H1Engine, name)

        if isinstance(CONTRACT[name], property):
            assert isinstance(ours, property)
        else:
            expected = list(inspect.signature(CONTRACT[name]).parameters)
            assert expected == list(inspect.signature(ours).parameters)

    @pytest.mark.parametrize("role", list(Role))
    def test_names_role_and_version(self, role):
        """A driver and an observer may ask for both."""
        engine = H1Engine(role, Limits())

        assert engine.role is role
        assert engine.http_version == "HTTP/1.1"

    @pytest.mark.parametrize("role", list(Role))
    def test_needs_data_at_first(self, role):
        """An engine that has seen nothing has nothing to tell and nothing to say."""
        engine = H1Engine(role, Limits())

        assert engine.next_event() is NEED_DATA
        assert list(engine.take_output()) == []
