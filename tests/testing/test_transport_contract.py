"""The contract suite finds what is wrong with a transport."""

from __future__ import annotations

import pytest

from galeph.testing.transport_contract import TRANSPORT_CHECKS, check_transport
from galeph.transport.memory import MemoryTransport, memory_pair


def pair_of(kind):
    def make():
        ends = memory_pair(1000)
        for end in ends:
            end.__class__ = kind
        return ends

    return make


class Forgetful(MemoryTransport):
    """Keeps what was asked for and drops the rest."""

    def recv(self, max_bytes=65536):
        return super().recv(65536)[:max_bytes]


class Overtaking(MemoryTransport):
    """Lets a small message pass a large one."""

    def send(self, data, *, committed=False):
        if isinstance(data, bytes) and len(data) < 100:
            self._move(data)
        else:
            super().send(data, committed=committed)


class Sleepy(MemoryTransport):
    """Does not wake who is blocked when it is closed."""

    def close(self):
        self._closed = True


class Polite(MemoryTransport):
    """Ends in order even when it is cut."""

    def abort(self, error=None):
        self._shut(error, is_cut=False)


class TestCheckTransport:
    def test_a_good_one(self):
        """A transport that keeps the contract passes."""
        assert check_transport(memory_pair, flood_bytes=1 << 17) is None

    @pytest.mark.parametrize(
        ("kind", "check"),
        [
            (Forgetful, "recv_returns_at_most_what_was_asked_for"),
            (Overtaking, "senders_queue_in_the_order_they_came"),
            (Sleepy, "try_recv_never_waits"),
            (Polite, "abort_wakes_with_its_error_and_resets_the_peer"),
        ],
    )
    def test_a_bad_one(self, kind, check, monkeypatch):
        """One that does not fails, with the name of the check in front."""
        monkeypatch.setattr("galeph.testing.transport_contract._LIMIT", 0.2)

        with pytest.raises(AssertionError, match=f"^{check}: "):
            check_transport(pair_of(kind), flood_bytes=1 << 17)

    def test_every_check_is_run(self):
        """Every check of the module is in the list, once."""
        from galeph.testing import transport_contract

        written = {
            name
            for name, value in vars(transport_contract).items()
            if getattr(value, "__code__", None) is not None
            and value.__code__.co_argcount == 3
            and value.__code__.co_varnames[2] in {"flood", "_flood"}
        }

        assert written == {check.__name__ for check in TRANSPORT_CHECKS}
        assert len(written) == len(TRANSPORT_CHECKS)
