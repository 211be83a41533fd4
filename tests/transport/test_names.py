"""From host and port to socket addresses."""

from __future__ import annotations

import socket

import gevent
import pytest
from gevent import get_hub

from galeph.errors import ConnectTimeout, ResolveError
from galeph.transport.names import (
    SocketAddress,
    check_endpoint,
    check_resolver,
    read_addresses,
    resolve,
)
from galeph.transport.timelimit import TimeLimit


class Resolver:
    """Stands for the hub's; notes what it is asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def getaddrinfo(self, host, *_args):
        self.asked.append(host)
        return self.answer()

    def close(self):
        pass


@pytest.fixture
def resolver(monkeypatch):
    def install(answer):
        made = Resolver(answer)
        monkeypatch.setattr(get_hub(), "resolver", made)
        return made

    return install


def fails_with(error):
    def answer():
        raise error

    return answer


class TestResolve:
    def test_an_address_asks_nobody(self, resolver):
        """What is an address already is taken as it is."""
        asked = resolver(list).asked

        expected = SocketAddress(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ("127.0.0.1", 80)
        )
        assert [expected] == resolve("127.0.0.1", 80)
        assert ("::1", 80, 0, 0) == resolve("::1", 80)[0].address
        assert socket.SOCK_DGRAM == resolve("127.0.0.1", 80, kind=socket.SOCK_DGRAM)[0].kind
        assert [] == asked

    def test_a_name_asks_the_hub(self, resolver):
        """A name goes to the hub's resolver, and its order is kept."""
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 80, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)),
        ]
        asked = resolver(lambda: found).asked

        assert ["::1", "127.0.0.1"] == [one.address[0] for one in resolve("name", 80)]
        assert ["name"] == asked

    def test_unknown_name(self, resolver):
        """A name without an address is a ResolveError, which is a gaierror too."""
        resolver(fails_with(socket.gaierror(socket.EAI_NONAME, "not known")))

        with pytest.raises(socket.gaierror) as caught:
            resolve("nowhere.invalid", 80)
        assert ResolveError is caught.type

    def test_no_answer_at_all(self, resolver):
        """An empty answer is a ResolveError as well."""
        resolver(list)

        with pytest.raises(ResolveError):
            resolve("nowhere.invalid", 80)

    def test_impossible_name(self):
        """A name that cannot be written in DNS is a ResolveError, not a UnicodeError."""
        with pytest.raises(ResolveError):
            resolve("x" * 70 + ".example", 80)

    def test_a_time_limit_passes_through(self, resolver):
        """A limit around it that runs out is not taken for the resolver's answer."""
        resolver(lambda: gevent.sleep(5))

        with pytest.raises(ConnectTimeout), TimeLimit(0.01, ConnectTimeout):
            resolve("slow.example", 80)


class Fixed:
    """A resolver that always gives these addresses."""

    def __init__(self, *found):
        self.found = found

    def addresses(self, host):
        return self.found


class TestAnyResolver:
    def test_its_order_is_kept(self):
        """What it gives becomes socket addresses, in its order."""
        found = resolve("name", 80, resolver=Fixed("127.0.0.2", "::1", "127.0.0.1"))

        assert ["127.0.0.2", "::1", "127.0.0.1"] == [each.address[0] for each in found]
        assert [socket.AF_INET, socket.AF_INET6, socket.AF_INET] == [each.family for each in found]

    @pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "1.2.3", "\uff11.2.3.4"])
    def test_what_only_the_c_library_takes_for_an_address(self, host):
        """A resolver is asked for it as for a name, so that a policy of its own sees it."""
        asked = []

        class Strict(Fixed):
            def addresses(self, host):
                asked.append(host)
                return super().addresses(host)

        (found,) = resolve(host, 80, resolver=Strict("192.0.2.1"))

        assert ("192.0.2.1", 80) == found.address
        assert [host] == asked
        assert socket.AF_INET == resolve(host, 80)[0].family

    def test_an_address_does_not_ask_it(self):
        """Neither is one with an interface a name."""
        assert ("127.0.0.1", 80) == resolve("127.0.0.1", 80, resolver=Fixed())[0].address
        (found,) = resolve("fe80::1%lo", 80, resolver=Fixed())
        assert socket.if_nametoindex("lo") == found.address[3]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("127.0.0.1", ["127.0.0.1"]),
            ("0x7f.1", ["127.0.0.1"]),
            ("::1", ["::1"]),
            ("fe80::1%lo", [f"fe80::1%{socket.if_nametoindex('lo')}"]),
            ("127.0.0.1.", []),
            ("256.1.1.1", []),
            ("example", []),
            ("a\0b", []),
            ("x" * 70, []),
        ],
    )
    def test_read_addresses(self, text, expected):
        """What getaddrinfo takes for an address, as people write that."""
        assert expected == read_addresses(text)

    def test_a_link_local_address(self):
        """An address with its interface keeps it."""
        (found,) = resolve("name", 80, resolver=Fixed("fe80::1%lo"))

        assert socket.if_nametoindex("lo") == found.address[3]

    @pytest.mark.parametrize("wrong", ["other.example", "", "1.2.3.4.5", "x" * 70])
    def test_no_address(self, wrong):
        """What is none is not asked for again, it is an error of the resolver."""
        with pytest.raises(ResolveError, match="no address"):
            resolve("name", 80, resolver=Fixed(wrong))

    def test_nothing(self):
        """An empty answer is a ResolveError."""
        with pytest.raises(ResolveError, match="no address"):
            resolve("name", 80, resolver=Fixed())

    @pytest.mark.parametrize("wrong", [None, "127.0.0.1", b"127.0.0.1", [None], [5], 5])
    def test_what_is_no_list_of_texts(self, wrong):
        """It is a mistake in the resolver, and never taken for this machine."""

        class Wrong:
            def addresses(self, host):
                return wrong

        with pytest.raises(TypeError, match="resolver: addresses"):
            resolve("name", 80, resolver=Wrong())

    def test_check_resolver(self):
        """What cannot be asked is refused."""
        check_resolver(None)
        check_resolver(Fixed())
        with pytest.raises(TypeError, match="resolver"):
            check_resolver("8.8.8.8")


class TestCheckEndpoint:
    @pytest.mark.parametrize(
        ("host", "port", "kind", "names"),
        [
            (b"host", 80, TypeError, "host"),
            ("", 80, ValueError, "host"),
            ("host", "80", TypeError, "port"),
            ("host", 0, ValueError, "port"),
            ("host", 65536, ValueError, "port"),
        ],
    )
    def test_refused(self, host, port, kind, names):
        """Host and port that can be nobody's are refused by the name of the argument."""
        with pytest.raises(kind, match=names):
            check_endpoint(host, port)

    def test_taken(self):
        """The first and the last port are ports."""
        assert check_endpoint("host", 1) is None
        assert check_endpoint("host", 65535) is None
