"""The error tree: what is drawn is what is there, and each is also the builtin one expects."""

from __future__ import annotations

import concurrent.futures
import pickle
import re
import socket
import ssl

import pytest

import galeph
from galeph import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def drawn_tree():
    """The tree of the module's docstring, as (name, drawn parent, builtins in brackets)."""
    parents = []
    rows = []
    for line in errors.__doc__.partition("::")[2].splitlines():
        match = re.match(r"(?P<lead>[ |]*)(?:\+- )?(?P<text>[A-Z]\w+.*)", line)
        if not match:
            continue
        depth = len(match["lead"])
        names = re.match(r"(\w+(?:, \w+)*,?)", match["text"])[1]
        builtin = re.search(r"\(([\w.]+)\)", match["text"])
        if "+-" in line or not parents:
            parents = [(d, n) for d, n in parents if d < depth]
            parent = parents[-1][1] if parents else None
        shown = builtin[1] if builtin else None
        rows.extend((name, parent, shown) for name in re.findall(r"\w+", names))
        if "+-" in line or not parents:
            parents.append((depth, rows[-1][0]))
    return rows


class TestTree:
    def test_every_class_is_drawn(self):
        """The drawing names every exported class once, and nothing else."""
        assert sorted(errors.__all__) == sorted(name for name, _, _ in drawn_tree())

    @pytest.mark.parametrize(("name", "parent", "builtin"), drawn_tree())
    def test_drawn_as_it_is(self, name, parent, builtin):
        """A class stands under its real base, and the builtin in brackets is one too."""
        error = getattr(errors, name)
        expected = errors.GalephError if parent is None else getattr(errors, parent)

        assert expected is (error if parent is None else error.__bases__[0])
        if builtin:
            assert issubclass(error, resolve(builtin))

    def test_export_list_is_complete(self):
        """Every exception class the module defines is exported."""
        defined = {
            name
            for name, value in vars(errors).items()
            if isinstance(value, type) and value.__module__ == errors.__name__
        }

        assert set(errors.__all__) == defined

    @pytest.mark.parametrize("error", CLASSES)
    def test_reachable_from_the_package(self, error):
        """Every error is also a name of the package itself."""
        assert error is getattr(galeph, error.__name__)

    @pytest.mark.parametrize("error", CLASSES)
    def test_documented(self, error):
        """Every error says for itself what happened."""
        assert error.__doc__.strip()
        assert error.__doc__ != error.__bases__[0].__doc__


def resolve(name):
    """The class an error's drawing names in brackets."""
    import builtins

    module, _, attribute = name.rpartition(".")
    homes = {"": builtins, "socket": socket, "ssl": ssl, "concurrent.futures": concurrent.futures}
    return getattr(homes[module], attribute)


class TestCatching:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (errors.TransportError, OSError),
            (errors.ResolveError, socket.gaierror),
            (errors.ConnectRefused, ConnectionRefusedError),
            (errors.TLSError, ssl.SSLError),
            (errors.CertificateError, ssl.SSLCertVerificationError),
            (errors.ConnectionLost, ConnectionResetError),
            (errors.ReadTimeout, TimeoutError),
            (errors.Cancelled, concurrent.futures.CancelledError),
        ],
    )
    def test_as_the_builtin(self, error, expected):
        """Code written for sockets and futures catches galeph's error as what it knows."""
        with pytest.raises(expected):
            raise error("happened")

    def test_cancelled_is_an_exception(self):
        """Cancelled is caught by `except Exception`: it is an outcome, not the greenlet's end."""
        assert issubclass(errors.Cancelled, Exception)

    def test_timeouts_are_no_lost_connections(self):
        """A time limit is not taken for a broken connection: it is no OSError by transport."""
        assert not issubclass(errors.TimedOut, errors.TransportError)


class TestConstruction:
    @pytest.mark.parametrize("error", CLASSES)
    def test_message_is_kept(self, error):
        """The text an error was made with is what it prints."""
        if error is errors.WebSocketClosed:
            made = error(1001, "going away")
            expected = "1001 going away"
        else:
            made, expected = error("what happened"), "what happened"

        assert expected == str(made)

    def test_protocol_error_defaults(self):
        """A protocol error suggests 400 and PROTOCOL_ERROR, and is its own case by default."""
        error = errors.RemoteProtocolError("bad head")

        assert (400, 1, "bad head") == (error.status_hint, error.h2_code, error.case)

    def test_protocol_error_details(self):
        """Status, HTTP/2 code and case are what they were given as."""
        error = errors.LocalProtocolError("bad", status_hint=431, h2_code=0xB, case="too many")

        assert (431, 0xB, "too many") == (error.status_hint, error.h2_code, error.case)

    def test_response_of_an_http_error(self):
        """An HTTP error holds the response it happened to, or None."""
        response = object()

        assert response is errors.StatusError("404", response).response
        assert errors.IncompleteBody("cut").response is None
        assert errors.HandshakeFailed("403", response).response is response

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [((1000,), (1000, "", "1000")), ((4000, "why"), (4000, "why", "4000 why"))],
    )
    def test_websocket_closed(self, arguments, expected):
        """A closed WebSocket says code and reason, and prints them without a stray space."""
        error = errors.WebSocketClosed(*arguments)

        assert expected == (error.code, error.reason, str(error))

    @pytest.mark.parametrize("error", CLASSES)
    def test_crosses_processes(self, error):
        """Every error survives pickling: it may come from a pool of processes."""
        made = error(1001, "bye") if error is errors.WebSocketClosed else error("what happened")
        copied = pickle.loads(pickle.dumps(made))

        assert type(made) is type(copied)
        assert str(made) == str(copied)
        assert vars(made) == vars(copied)
