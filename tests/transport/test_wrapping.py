"""`WrappedTransport`: what a layer that changes nothing is."""

from __future__ import annotations

import inspect

import pytest

from galeph.testing import check_transport
from galeph.transport.base import Transport
from galeph.transport.idle import IdleTransport
from galeph.transport.memory import memory_pair
from galeph.transport.metering import MeteredTransport
from galeph.transport.patience import PatientTransport
from galeph.transport.upgrade import Upgrading
from galeph.transport.wiretap import TappedTransport
from galeph.transport.wrapping import WrappedTransport

MEMBERS = sorted(name for name in vars(Transport) if not name.startswith("_"))
METHODS = [name for name in MEMBERS if callable(getattr(Transport, name))]


class Answers:
    """Keeps how it was called, and answers each call with something of its own."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        if name not in METHODS:
            return f"the {name} below"

        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return f"the answer to {name}"

        return call


def arguments_of(name):
    """A value of its own for each of a method's parameters, and how to give it."""
    parameters = list(inspect.signature(getattr(Transport, name)).parameters.values())[1:]
    keyword_only = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    args = tuple(object() for one in parameters if one.name not in keyword_only)
    return args, {each: object() for each in keyword_only}


def test_keeps_the_contract():
    """It is a transport like any other."""
    check_transport(lambda: tuple(map(WrappedTransport, memory_pair())))


def test_has_everything_that_a_transport_has():
    """What the interface names is delegated here, and with the same parameters."""
    assert {"recv", "try_send", "watch_end"} <= set(METHODS)
    assert {"closed", "info"} == set(MEMBERS) - set(METHODS)
    assert set(MEMBERS) == {name for name in vars(WrappedTransport) if name[0] != "_"} - {"inner"}
    for name in METHODS:
        declared, made = (getattr(owner, name) for owner in (Transport, WrappedTransport))
        assert inspect.signature(declared) == inspect.signature(made)


@pytest.mark.parametrize("name", METHODS)
def test_passes_every_call_on(name):
    """With every argument, once; where there is an answer it comes back."""
    inner = Answers()
    args, kwargs = arguments_of(name)
    answer = getattr(WrappedTransport(inner), name)(*args, **kwargs)

    assert [(name, args, kwargs)] == inner.calls
    has_answer = inspect.signature(getattr(Transport, name)).return_annotation != "None"
    assert (f"the answer to {name}" if has_answer else None) == answer


def test_says_what_the_one_below_says():
    """Also about the connection."""
    wrapped = WrappedTransport(Answers())

    assert ("the info below", "the closed below") == (wrapped.info, wrapped.closed)


@pytest.mark.parametrize(
    "layer", [IdleTransport, MeteredTransport, PatientTransport, TappedTransport, Upgrading]
)
def test_a_layer_changes_no_parameter(layer):
    """Who derives from it can be called as any transport is."""
    assert issubclass(layer, WrappedTransport)
    for name in METHODS:
        assert inspect.signature(getattr(Transport, name)) == inspect.signature(
            getattr(layer, name)
        )


@pytest.mark.parametrize(
    "layer", [WrappedTransport, IdleTransport, PatientTransport, TappedTransport, Upgrading]
)
def test_a_connection_has_no_dict(layer):
    """There may be tens of thousands of them, each under several layers."""
    assert 0 == layer.__dictoffset__
