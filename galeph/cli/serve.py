"""``galeph serve module:handler``: serve a handler until Ctrl-C or SIGTERM, then drain.

The first signal stops accepting and lets what is under way finish; a second one ends at once. The
exit status is 0 after either, unless a handler keeps the event loop from running: then SIGALRM ends
the process a second after the second signal. Nothing is patched unless ``--patch`` asks for it, and
then before the handler's module is imported.

Sockets that a service manager hands in (systemd's socket activation) come before ``--host``,
``--port`` and ``--unix``; the manager is told when it serves, that it runs, and when it stops.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["WrongHandlerError", "add_parser", "load_handler", "run"]


def add_parser(commands: Any) -> None:
    """Add ``serve`` to the subcommands of the argument parser."""
    parser = commands.add_parser("serve", help="serve a handler over HTTP", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("handler", help="module:name of a function that takes a request")
    parser.add_argument("--host", default="127.0.0.1", help="interface (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--unix",
        metavar="PATH",
        help="a unix socket in place of host and port, for this user alone; @NAME is abstract",
    )
    parser.add_argument(
        "--tls-self-signed",
        action="store_true",
        help="serve https with a certificate made for this run (needs galeph[selfsigned])",
    )
    parser.add_argument(
        "--shutdown-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long requests under way may take after a signal (default: as the server, 15)",
    )
    parser.add_argument(
        "--patch", action="store_true", help="patch the standard library before the import"
    )
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not seconds >= 0:  # which also holds back what is not a number
        raise argparse.ArgumentTypeError(f"must be seconds, 0 or more, not {text!r}")
    return seconds


class WrongHandlerError(ValueError):
    """``module:name`` names nothing that can be served."""


def load_handler(spec: str) -> Callable[..., Any]:
    """Import what ``module:name`` names.

    Raises:
        WrongHandlerError: there is no such thing, or it cannot be called; the text says which.
        Exception: whatever the module itself raises.
    """
    module_name, colon, path = spec.partition(":")
    parts = module_name.split(".")
    if not colon or not path or not all(part.isidentifier() for part in parts):
        raise WrongHandlerError(f"{spec!r} is not of the form module:handler")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something it imports is not: show where
        raise WrongHandlerError(f"no module named {error.name!r} (looked in {here})") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise WrongHandlerError(f"module {module_name!r} has no {path!r}") from None
    if not callable(found):
        raise WrongHandlerError(f"{spec} is not callable: {found!r}")
    handler: Callable[..., Any] = found
    return handler


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; return the exit status."""
    if options.patch:
        from gevent import monkey

        monkey.patch_all()  # noqa: TID251  (the switch that asks for exactly this)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    from galeph import GalephError, http, systemd

    try:
        handler = load_handler(options.handler)
    except WrongHandlerError as error:
        print(f"galeph serve: {error}", file=sys.stderr)
        return 2
    try:
        tls = _make_context(options) if options.tls_self_signed else None
        server = http.start_server(handler, tls=tls, **_place(options))
        _stop_on_signals(server, options.shutdown_timeout)  # before anybody can know that it serves
        systemd.notify("READY=1")
        systemd.maybe_start_watchdog()
    except (TypeError, ValueError, ImportError, GalephError) as error:
        print(f"galeph serve: {error}", file=sys.stderr)
        return 2
    where = ", ".join(_url("https" if tls else "http", address) for address in server.addresses)
    print(f"galeph serves {where} (Ctrl-C stops)", flush=True)
    server.serve_forever()
    return 0


def _place(options: argparse.Namespace) -> dict[str, Any]:
    """Where to listen: what a manager hands in, else what the command line says."""
    from galeph import systemd

    if handed_in := systemd.listen_fds():
        return {"listen_socket": handed_in}
    if options.unix is not None:
        return {"address": f"unix:{options.unix}"}
    return {"host": options.host, "port": options.port}


def _url(scheme: str, address: Any) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
    path = f"@{address[1:].decode()}" if isinstance(address, bytes) else address
    return f"{scheme} on unix:{path}"


def _stop_on_signals(server: Any, timeout: float | None) -> None:
    """Let SIGINT and SIGTERM drain the server, and a second one end it at once.

    Real handlers and not gevent's, which run in the hub: a handler that blocks that must not keep
    the process from ending. What the second signal asks for is done within a second, or SIGALRM
    ends the process.
    """
    from gevent import get_hub

    loop: Any = get_hub().loop
    signals = 0

    def stop(number: int, frame: object) -> None:  # noqa: ARG001  (the signature of a handler)
        nonlocal signals
        signals += 1
        if signals > 1:
            signal.alarm(1)
        loop.run_callback_threadsafe(_stop, server, timeout if signals == 1 else 0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _stop(server: Any, timeout: float | None) -> None:
    from galeph import TransportError, systemd

    server.close(timeout)
    with suppress(TransportError):  # a manager that is gone does not keep it from stopping
        systemd.notify("STOPPING=1")


def _make_context(options: argparse.Namespace) -> Any:
    from galeph import tls

    names = {"localhost", "127.0.0.1", options.host} - {"", "0.0.0.0", "::"}  # noqa: S104  (not bound)
    return tls.self_signed(*sorted(names), alpn=["http/1.1"])
