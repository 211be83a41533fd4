"""The resolver: names to addresses, against a nameserver that does as it is told."""

from __future__ import annotations

import os
import resource
import socket

import dns.flags
import gevent
import pytest

from galeph import clock, tcp
from galeph.dns import Resolver, public_only
from galeph.errors import ResolveError, ResolveTimeout, ResourceClosed
from galeph.testing import ManualClock, kill_walk
from galeph.transport.names import resolve
from tests.faults.kit import fake_dns
from tests.faults.kit.fake_dns import FakeDNS
from tests.transport.wire import Socket

# IPv4 in less than four parts, in one number, in octal; in letters that IDNA takes for others; and
# what the GNU C library takes for this machine.
LOOSE = [
    "127.1",
    "10.2.3",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020.0.1",
    "\uff1a\uff1a1",
    "*",
]


def failure(fn, *args):
    """The number of the ResolveError that a call raises."""
    with pytest.raises(ResolveError) as caught:
        fn(*args)
    return caught.value.errno


class TestAddresses:
    def test_both_families(self, make):
        """IPv6 and IPv4, asked for at once."""
        assert {"192.0.2.1", "2001:db8::1"} == set(
            make(address_types=None).addresses("www.example")
        )

    @pytest.mark.parity("DNS-04")
    @pytest.mark.parametrize(
        ("types", "expected", "questions"),
        [
            ("ipv4_only", ["192.0.2.1"], {"A"}),
            ("ipv6_only", ["2001:db8::1"], {"AAAA"}),
            ("ipv4_preferred", ["192.0.2.1", "2001:db8::1"], {"A", "AAAA"}),
            ("ipv6_preferred", ["2001:db8::1", "192.0.2.1"], {"A", "AAAA"}),
        ],
    )
    def test_address_types(self, make, server, types, expected, questions):
        """Which are asked for, and which are tried first."""
        assert expected == list(make(address_types=types).addresses("www.example"))
        assert questions == {rdtype for _, rdtype in server.questions}

    def test_one_family_only(self, make):
        """A name with addresses of one family has those."""
        resolver = make(address_types=None)

        assert ["192.0.2.4"] == list(resolver.addresses("v4.example"))
        assert ["2001:db8::6"] == list(resolver.addresses("v6.example"))

    def test_equals_take_turns(self, make, server):
        """Each of several addresses is the first as often as the others."""
        for last in (1, 2, 3):
            server.add(f"many.example. 300 IN A 192.0.2.{last}")
        resolver = make()
        leading = [resolver.addresses("many.example")[0] for _ in range(6)]

        assert 3 == len(set(leading[:3]))
        assert leading[:3] == leading[3:]

    def test_no_ipv6_answer_is_not_waited_for(self, make, server):
        """A server that never answers about IPv6 costs 50 ms, and is asked again soon."""
        server.verbs["AAAA"] = fake_dns.drop
        resolver = make(address_types=None, query_timeout=30)
        with gevent.Timeout(10):
            assert ["192.0.2.1"] == list(resolver.addresses("www.example"))

        entry = resolver._entries["www.example"]
        assert entry.expires_at - clock.default().monotonic() <= 10

    def test_an_address(self, make, server):
        """What is one already is returned as it is."""
        resolver = make()

        assert [["192.0.2.9"], ["::1"]] == [
            list(resolver.addresses(x)) for x in ("192.0.2.9", "::1")
        ]
        assert [] == server.asked

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "db.localhost"])
    def test_localhost(self, make, server, host):
        """Is this machine, whatever a server says (RFC 6761 section 6.3)."""
        assert ("127.0.0.1", "::1") == make(address_types="ipv4_preferred").addresses(host)
        assert [] == server.asked

    def test_without_waiting(self, make):
        """A Deferred of the same."""
        assert ("192.0.2.4",) == make().addresses_async("v4.example").get()

    def test_no_text(self, make):
        """A host is a str."""
        with pytest.raises(TypeError, match="host"):
            make().addresses(None)

    def test_international(self, make, server):
        """A name goes out as IDNA, whoever looks."""
        server.add("xn--bcher-kva.example. 300 IN A 192.0.2.7")

        assert ("192.0.2.7",) == make().addresses("Bücher.example")

    @pytest.mark.parity("DNS-13")
    def test_decode_idn(self, make, server):
        """Names that come back are written as people read them, or as they came."""
        server.add("old.example. 300 IN CNAME xn--bcher-kva.example.")
        server.add("xn--bcher-kva.example. 300 IN A 192.0.2.7")

        assert "bücher.example" == make().query("old.example").canonical_name
        assert "xn--bcher-kva.example" == make(decode_idn=False).query("old.example").canonical_name

    def test_aliases(self, make):
        """They are followed."""
        assert ("192.0.2.4",) == make().addresses("alias.example")

    def test_an_alias_without_its_end(self, make, server):
        """Its target is asked for, from the same budget."""
        server.script = [
            fake_dns.changed(
                lambda reply: [reply.answer.pop(), setattr(reply, "authority", [])] and reply
            ),
        ]

        assert ("192.0.2.4",) == make().addresses("alias.example")
        assert [("alias.example", "A"), ("v4.example", "A")] == server.questions


class TestErrors:
    @pytest.mark.parity("DNS-18")
    def test_unknown_host(self, make):
        """A name that does not exist is what getaddrinfo says, and the builtin error too."""
        with pytest.raises(socket.gaierror) as caught:
            make().addresses("nowhere.example")

        assert ResolveError is caught.type
        assert socket.EAI_NONAME == caught.value.errno

    def test_no_address(self, make):
        """A name with other records only."""
        assert socket.EAI_NODATA == failure(make(address_types=None).addresses, "nothing.example")

    @pytest.mark.attack(272)
    @pytest.mark.parametrize(
        "host", ["a" * 64 + ".example", "a.b" * 90, "nul\0.example", "a_b.example", "ü" * 70]
    )
    def test_what_is_no_name(self, make, server, host):
        """Is refused before anything is sent."""
        assert socket.EAI_NONAME == failure(make().addresses, host)
        assert [] == server.asked

    def test_underscores(self, make, server):
        """They are asked for where that is wanted."""
        server.add("a_b.example. 300 IN A 192.0.2.3")

        assert ("192.0.2.3",) == make(allow_underscores=True).addresses("a_b.example")

    @pytest.mark.parametrize("host", ["x.invalid", "x.onion"])
    def test_nowhere(self, make, server, host):
        """Names that no DNS has are not asked for."""
        assert socket.EAI_NONAME == failure(make().addresses, host)
        assert [] == server.asked

    @pytest.mark.parity("DNS-09")
    def test_trace(self, make, server):
        """An error carries what was asked and what came back, where that is wanted."""
        server.verb = fake_dns.first(fake_dns.wrong_id, fake_dns.servfail)
        with pytest.raises(ResolveError) as caught:
            make(trace=True).addresses("www.example")
        (note,) = caught.value.__notes__
        assert f"www.example A @{server.address}: SERVFAIL; ignored: wrong id" in note

        with pytest.raises(ResolveError) as caught:
            make().addresses("www.example")
        assert not hasattr(caught.value, "__notes__")

    def test_each_caller_has_an_error_of_his_own(self, make):
        """It may be raised again and again without growing."""
        resolver = make()
        errors = []
        for _ in range(2):
            with pytest.raises(ResolveError) as caught:
                resolver.addresses("nowhere.example")
            errors.append(caught.value)

        assert errors[0] is not errors[1]


class TestHostile:
    @pytest.mark.attack(262)
    @pytest.mark.parametrize(
        "bad", ["wrong_id", "wrong_question", "unasked", "garbage", "wrong_source"]
    )
    def test_a_forged_answer_in_front(self, make, server, bad):
        """Is ignored, and the true one behind it is heard."""
        server.verb = fake_dns.first(getattr(fake_dns, bad), fake_dns.delay(0.01))
        resolver = make()

        assert ("192.0.2.1",) == resolver.addresses("www.example")
        assert int(bad != "wrong_source") == resolver.stats().ignored
        assert 1 == len(server.asked)

    @pytest.mark.attack(262)
    @pytest.mark.parametrize(
        "bad", ["wrong_id", "wrong_question", "unasked", "garbage", "wrong_source"]
    )
    def test_forged_answers_only(self, make, server, bad):
        """They end nothing: the server counts as silent."""
        server.verb = getattr(fake_dns, bad)
        resolver = make(query_timeout=0.03, attempts=1)

        assert socket.EAI_AGAIN == failure(resolver.addresses, "www.example")
        assert 1 == resolver.stats().silent

    @pytest.mark.attack(263)
    def test_nothing_can_be_foretold(self, make, server):
        """Each question has another id, another port, and the name in another case."""
        resolver = make(max_entries=0)
        for _ in range(40):
            resolver.addresses("www.example")

        assert 35 < len({asked.query.id for asked in server.asked})
        assert 35 < len({asked.peer[1] for asked in server.asked})
        assert 20 < len({asked.name for asked in server.asked})

    def test_a_server_that_does_not_keep_the_case(self, make, server):
        """Is asked over TCP."""
        server.verb = lambda asked: (
            fake_dns.answer(asked) if asked.over == "tcp" else fake_dns.lower_case(asked)
        )
        resolver = make()

        assert ("192.0.2.1",) == resolver.addresses("www.example")
        assert 1 == resolver.stats().truncated

    @pytest.mark.attack(264)
    def test_truncated(self, make, server):
        """Is asked again over TCP, and the whole answer is there."""
        for number in range(60):
            server.add(f"large.example. 300 IN A 10.0.0.{number}")
        server.verb = fake_dns.truncate
        resolver = make()

        assert 60 == len(resolver.addresses("large.example"))
        assert ["udp", "tcp"] == [asked.over for asked in server.asked]
        assert 1 == resolver.stats().truncated

    @pytest.mark.attack(264)
    @pytest.mark.parametrize(
        "over_tcp",
        [
            fake_dns.drop,
            fake_dns.wrong_id,
            fake_dns.changed(lambda reply: b"\0" * 5),
            fake_dns.changed(lambda reply: setattr(reply, "flags", dns.flags.TC) or reply),
            lambda asked: _send_raw(asked, b"\xff\xffshort"),
            lambda asked: _send_raw(asked, b"\0\0"),
            lambda asked: _send_raw(asked, b"\0"),
        ],
    )
    def test_bad_over_tcp(self, make, server, over_tcp):
        """Silence, a wrong length and a wrong answer there end in an error, in time."""
        server.verb = lambda asked: (
            fake_dns.truncate(asked) if asked.over == "udp" else over_tcp(asked)
        )
        with gevent.Timeout(5):
            resolver = make(query_timeout=0.05, attempts=1)
            assert socket.EAI_AGAIN == failure(resolver.addresses, "www.example")

    @pytest.mark.attack(265)
    def test_a_circle_of_aliases(self, make, server):
        """Is no answer."""
        server.verb = fake_dns.loop

        assert socket.EAI_AGAIN == failure(make(attempts=1).addresses, "www.example")

    @pytest.mark.attack(265)
    @pytest.mark.parity("DNS-03")
    @pytest.mark.parametrize(("limit", "expected"), [(None, 16), (5, 5)])
    def test_a_game_of_tag(self, make, server, limit, expected):
        """A server that sends us from name to name is asked 16 times, or as often as is said."""
        options = {} if limit is None else {"max_queries_per_resolve": limit}

        server.verb = fake_dns.send_on

        assert socket.EAI_AGAIN == failure(make(attempts=5, **options).addresses, "www.example")
        assert expected == len(server.asked)

    @pytest.mark.attack(273)
    def test_rebinding(self, make, server):
        """Of an answer that mixes public and private addresses the policy takes the public ones."""
        server.add("mixed.example. 300 IN A 127.0.0.1")
        server.add("mixed.example. 300 IN A 93.184.216.34")
        server.add("inside.example. 300 IN A 10.0.0.1")
        resolver = make(policy=public_only)

        assert ("93.184.216.34",) == resolver.addresses("mixed.example")
        assert ("93.184.216.34",) == resolver.addresses("mixed.example")
        assert socket.EAI_NONAME == failure(resolver.addresses, "inside.example")
        assert socket.EAI_NONAME == failure(resolver.addresses, "localhost")
        assert {"127.0.0.1", "93.184.216.34"} == set(make().addresses("mixed.example"))

    @pytest.mark.parametrize("host", LOOSE)
    def test_an_address_that_looks_like_a_name(self, make, server, host):
        """What the C library reads as an address is that address here, and the policy sees it."""
        asked = []
        read = make(policy=lambda *each: asked.append(each) or True).addresses(host)

        assert {each[4][0] for each in socket.getaddrinfo(host, 80)} == set(read)
        assert [(host, each) for each in read] == asked
        refuses = make(policy=public_only)
        assert socket.EAI_NONAME == failure(refuses.addresses, host)
        with pytest.raises(ResolveError, match="policy"):
            resolve(host, 80, resolver=refuses)
        assert [] == server.asked

    def test_such_an_address_in_a_client(self, make):
        """No client connects to it past the policy."""
        with pytest.raises(ResolveError, match="policy"):
            tcp.client("2130706433", 80, resolver=make(policy=public_only)).get()

    def test_a_policy_of_ones_own(self, make):
        """It is asked about every address with the name that was asked for, and may block."""
        asked = []

        def policy(host, address):
            gevent.sleep(0)
            asked.append((host, address))
            return True

        make(policy=policy).addresses("alias.example")

        assert [("alias.example", "192.0.2.4")] == asked

    @pytest.mark.attack(265)
    def test_more_addresses_than_anybody_tries(self, make, server):
        """Of each family 64 are kept, and of the orders to give them out 16; the rest is left."""
        for each in range(400):
            server.add(f"crowd.example. 300 IN A 192.0.{each >> 8}.{each & 255}")
            server.add(f"crowd.example. 300 IN AAAA 2001:db8::{each:x}")
        resolver = make(address_types=None)
        families = [":" in each for each in resolver.addresses("crowd.example")]

        assert [64, 64] == [families.count(True), families.count(False)]
        assert 16 == len(resolver._entries["crowd.example"].value.turns)

    @pytest.mark.attack(265)
    def test_many_records_are_not_kept(self, make, server):
        """Of any other type all are given; more than 64 of them are asked for each time."""
        for each in range(65):
            server.add(f"crowd.example. 300 IN PTR n{each}.example.")
            if each:
                server.add(f"fits.example. 300 IN PTR n{each}.example.")
        resolver = make()

        for name, number in (("crowd.example", 65), ("fits.example", 64)):
            for _ in range(2):
                assert number == len(resolver.query(name, "PTR").records)
        assert ["crowd.example", "crowd.example", "fits.example"] == [
            name for name, _ in server.questions
        ]


def _send_raw(asked, data):
    """Send bytes as they are over the connection of a question, and close it."""
    asked.transport.send(data)
    asked.transport.close()


class TestServers:
    @pytest.fixture
    def second(self):
        with FakeDNS("www.example. 300 IN A 192.0.2.2") as made:
            yield made

    @pytest.mark.attack(271)
    @pytest.mark.parity("DNS-15")
    @pytest.mark.parametrize("verb", ["drop", "refused", "servfail", "garbage", "loop"])
    def test_the_next_one(self, make, server, second, verb):
        """A server that is silent or will not answer gives way to the next."""
        server.verb = getattr(fake_dns, verb)
        resolver = make(nameservers=[server.address, second.address], query_timeout=0.03)

        assert ("192.0.2.2",) == resolver.addresses("www.example")
        assert (1, 1) == (len(server.asked), len(second.asked))

    @pytest.mark.attack(271)
    def test_nobody_there(self, make):
        """A port where nobody listens is known at once."""
        with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        with gevent.Timeout(5):
            resolver = make(nameservers=[("127.0.0.1", port)], query_timeout=30)
            assert socket.EAI_AGAIN == failure(resolver.addresses, "www.example")

    def test_one_that_was_silent_is_asked_last(self, make, server, second):
        """It is not waited for at every name; when it is asked and answers it is as good as any."""
        server.verb = fake_dns.drop
        resolver = make(
            nameservers=[server.address, second.address], query_timeout=0.03, max_entries=0
        )
        for _ in range(3):
            resolver.addresses("www.example")
        assert (1, 3) == (len(server.asked), len(second.asked))

        server.verb, second.verb = fake_dns.answer, fake_dns.drop
        for _ in range(2):
            assert ("192.0.2.1",) == resolver.addresses("www.example")
        assert (3, 4) == (len(server.asked), len(second.asked))

    def test_rotate(self, make, server, second):
        """The servers lead in turn."""
        resolver = make(nameservers=[server.address, second.address], rotate=True, max_entries=0)
        for _ in range(4):
            resolver.addresses("www.example")

        assert (2, 2) == (len(server.asked), len(second.asked))

    @pytest.mark.parity("DNS-05")
    def test_query_timeout(self, make, server, second):
        """How long one server is waited for; by default five seconds."""
        assert 5 == Resolver(resolv_conf=None, nameservers=[server.address])._machine.query_timeout
        server.verb = fake_dns.delay(0.2)

        assert ("192.0.2.1",) == make(query_timeout=5, max_entries=0).addresses("www.example")
        servers = [server.address, second.address]
        assert ("192.0.2.2",) == make(nameservers=servers, query_timeout=0.02).addresses(
            "www.example"
        )

    def test_attempts(self, make, server):
        """Silence is tried again as often as is said."""
        server.verb = fake_dns.drop
        failure(make(attempts=3, query_timeout=0.02).addresses, "www.example")

        assert 3 == len(server.asked)

    def test_without_edns(self, make, server):
        """A server that does not know EDNS is asked without."""
        server.verb = lambda asked: (
            fake_dns.answer(asked) if asked.query.edns < 0 else fake_dns.rcode("FORMERR")(asked)
        )

        assert ("192.0.2.1",) == make().addresses("www.example")
        assert [0, -1] == [asked.query.edns for asked in server.asked]

    @pytest.mark.parity("DNS-02")
    def test_max_payload_size(self, make, server):
        """The server is told how long an answer over UDP may be: what needs no fragments."""
        for options in ({}, {"max_payload_size": 4096}):
            make(**options).addresses("www.example")

        assert [1232, 4096] == [asked.query.payload for asked in server.asked]

    @pytest.mark.parity("DNS-10", "DNS-14")
    def test_flags(self, make, server):
        """EDNS and recursion are asked for, or not."""
        make().addresses("www.example")
        make(edns=False, recursion_desired=False).addresses("www.example")

        assert [(0, True), (-1, False)] == [
            (asked.query.edns, bool(asked.query.flags & dns.flags.RD)) for asked in server.asked
        ]

    @pytest.mark.parity("DNS-15")
    def test_those_of_the_machine(self, make, server, second, tmp_path, monkeypatch):
        """By default they are discovered."""
        conf = tmp_path / "resolv.conf"
        conf.write_text("nameserver 127.0.0.9\nsearch example\noptions ndots:2\n")
        resolver = make(nameservers=None, resolv_conf=conf)

        assert ["127.0.0.9:53"] == [str(each) for each in resolver._machine.servers()]


class TestSearching:
    @pytest.mark.parity("DNS-11")
    def test_search_domains(self, make, server):
        """A short name is looked for in the domains, in order."""
        resolver = make(search_domains=["other", "example"])

        assert ("192.0.2.1",) == resolver.addresses("www")
        assert [("www.other", "A"), ("www.example", "A")] == server.questions

    @pytest.mark.parity("DNS-11", "DNS-12")
    def test_those_of_the_machine(self, make, server, tmp_path):
        """By default domains and ndots are those of resolv.conf; an option goes before it."""
        conf = tmp_path / "resolv.conf"
        conf.write_text("search one.test two.test\noptions ndots:2\n")
        failure(make(resolv_conf=conf).addresses, "a.b")
        failure(make(resolv_conf=conf, ndots=1, search_domains=[]).addresses, "a.b")

        names = [name for name, _ in server.questions]
        assert ["a.b.one.test", "a.b.two.test", "a.b", "a.b"] == names

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("nowhere", socket.EAI_NONAME),
            ("nothing", socket.EAI_NODATA),
            ("nowhere.example", socket.EAI_NONAME),
            ("nothing.example", socket.EAI_NODATA),
        ],
    )
    def test_which_error(self, make, host, expected):
        """That one of the names exists is said; the name as it is decides if it is first."""
        assert expected == failure(make(search_domains=["example", "other"]).addresses, host)


class TestKnown:
    def test_hosts_file(self, make, server, tmp_path):
        """What is written there is asked for nowhere, and noticed when it changes."""
        hosts = tmp_path / "hosts"
        hosts.write_text("192.0.2.77 www.example under_score\n")
        with ManualClock() as now:
            resolver = make(hosts_file=hosts)
            assert ("192.0.2.77",) == resolver.addresses("WWW.example")
            assert ("192.0.2.77",) == resolver.addresses("under_score")
            hosts.write_text("192.0.2.78 www.example\n127.0.0.9 more\n")
            now.advance(1)

            assert ("192.0.2.78",) == resolver.addresses("www.example")
        assert [] == server.asked

    def test_resolv_conf_changes(self, make, tmp_path):
        """Other servers are asked, and what the old ones said does not count any more."""
        conf = tmp_path / "resolv.conf"
        conf.write_text("nameserver 127.0.0.8\n")
        with ManualClock() as now:
            resolver = make(nameservers=None, resolv_conf=conf)
            resolver._prepare(now.monotonic())
            conf.write_text("nameserver 127.0.0.9\nnameserver 127.0.0.7\n")
            now.advance(1)
            resolver._prepare(now.monotonic())

            assert ["127.0.0.9:53", "127.0.0.7:53"] == list(map(str, resolver._machine.servers()))

    @pytest.mark.parity("DNS-19")
    def test_a_map_with_a_fallback(self, make, server):
        """Names may be given with their addresses; others are asked for."""
        resolver = make(hosts={"db.internal": ["10.0.0.1"]})

        assert ("10.0.0.1",) == resolver.addresses("db.internal")
        assert ("192.0.2.1",) == resolver.addresses("www.example")
        assert 1 == len(server.asked)

    def test_fallback(self, make):
        """Another resolver is asked for what the DNS does not know."""

        class Other:
            def addresses(self, host):
                if host == "printer":
                    return ["192.0.2.50"]
                raise ResolveError(socket.EAI_NONAME, host)

        resolver = make(fallback=Other())

        assert ("192.0.2.50",) == resolver.addresses("printer")
        assert socket.EAI_NONAME == failure(resolver.addresses, "scanner")
        assert ("192.0.2.1",) == resolver.addresses("www.example")


class TestCaching:
    @pytest.fixture
    def now(self):
        with ManualClock() as made:
            yield made

    def asked(self, server, resolver, host="www.example"):
        """How many questions a look-up sends."""
        before = len(server.asked)
        try:
            resolver.addresses(host)
        except ResolveError:
            pass
        return len(server.asked) - before

    def test_for_its_ttl(self, make, server, now):
        """An answer is asked for again when its time is over."""
        resolver = make()
        found = [self.asked(server, resolver)]
        for seconds in (299, 1):
            now.advance(seconds)
            found.append(self.asked(server, resolver))

        assert [1, 0, 1] == found

    @pytest.mark.attack(267)
    @pytest.mark.parity("DNS-06", "DNS-07")
    @pytest.mark.parametrize(
        ("ttl", "options", "expected"),
        [
            (0, {}, 1),
            (2**31 - 1, {}, 86400),
            (0, {"min_ttl": 20}, 20),
            (300, {"max_ttl": 50}, 50),
            (2**31 - 1, {"max_ttl": 2.0**31}, 2**31 - 1),
        ],
    )
    def test_limits(self, make, server, now, ttl, options, expected):
        """No answer is kept for less than a second or more than a day, or as is said."""
        server.add(f"ttl.example. {ttl} IN A 192.0.2.5")
        resolver = make(**options)
        self.asked(server, resolver, "ttl.example")

        assert expected == resolver._entries["ttl.example"].expires_at - now.monotonic()

    @pytest.mark.parity("DNS-06")
    def test_not_at_all(self, make, server, now):
        """With 0 a TTL of 0 means what it says."""
        server.add("ttl.example. 0 IN A 192.0.2.5")
        resolver = make(min_ttl=0)

        assert [1, 1] == [self.asked(server, resolver, "ttl.example") for _ in range(2)]

    @pytest.mark.attack(268)
    @pytest.mark.parity("DNS-08")
    @pytest.mark.parametrize("host", ["nowhere.example", "nothing.example"])
    @pytest.mark.parametrize(
        ("minimum", "options", "expected"),
        [(30, {}, 30), (2**31 - 1, {}, 60), (0, {}, 1), (30, {"negative_ttl": 5}, 5)],
    )
    def test_nothing(self, make, server, now, host, minimum, options, expected):
        """That there is nothing is known for as long as the zone says, a minute at most."""
        server.records = {key: value for key, value in server.records.items() if key[1] != 6}
        server.add(f"example. 2147483647 IN SOA ns.example. root.example. 1 2 3 4 {minimum}")
        resolver = make(**options)

        assert [1, 0] == [self.asked(server, resolver, host) for _ in range(2)]
        assert expected == resolver._entries[host].expires_at - now.monotonic()

    @pytest.mark.parity("DNS-08")
    def test_nothing_is_not_kept(self, make, server, now):
        """With 0 it is asked for each time."""
        resolver = make(negative_ttl=0)

        assert [1, 1] == [self.asked(server, resolver, "nowhere.example") for _ in range(2)]

    @pytest.mark.attack(268)
    def test_failures(self, make, server, now):
        """That a server could not say is remembered for a second."""
        server.verb = fake_dns.servfail
        resolver = make()
        found = [self.asked(server, resolver) for _ in range(2)]
        now.advance(1)
        found.append(self.asked(server, resolver))

        assert [1, 0, 1] == found

    @pytest.mark.attack(269)
    def test_a_limit(self, make, server):
        """However many names are asked for, only so many are kept."""
        for number in range(30):
            server.add(f"n{number}.example. 300 IN A 192.0.2.5")
        resolver = make(max_entries=10)
        for number in range(30):
            resolver.addresses(f"n{number}.example")

        assert 10 == resolver.stats().entries
        assert 1000 == Resolver()._options.max_entries

    def test_clear(self, make, server):
        """Everything is forgotten."""
        resolver = make()
        resolver.addresses("www.example")
        resolver.clear()

        assert 1 == self.asked(server, resolver)


class TestTogether:
    @pytest.mark.attack(270)
    def test_ten_thousand(self, make, server):
        """Who asks for a name that is being asked for waits for that answer: one question goes."""
        resolver = make()
        server.verb = fake_dns.delay(0.05)
        found = []
        waiting = [
            gevent.spawn(lambda: found.append(resolver.addresses("www.example")))
            for _ in range(10_000)
        ]
        gevent.joinall(waiting)

        assert 10_000 == len(found)
        assert 1 == len(server.asked)
        assert (1, 9999) == (resolver.stats().misses, resolver.stats().shared)

    def test_one_leaves(self, make, server):
        """The others get their answer."""
        server.verb = fake_dns.delay(0.03)
        resolver = make()
        first, second = [gevent.spawn(resolver.addresses, "www.example") for _ in range(2)]
        gevent.sleep(0.01)
        first.kill()

        assert ("192.0.2.1",) == second.get()
        assert 1 == len(server.asked)

    def test_all_leave(self, make, server):
        """Then nobody asks any more, and who comes later begins anew."""
        server.script = [fake_dns.drop]
        resolver = make(query_timeout=30)
        leaving = [gevent.spawn(resolver.addresses, "www.example") for _ in range(2)]
        gevent.sleep(0.01)
        gevent.killall(leaving)

        assert 0 == resolver.stats().in_flight
        assert ("192.0.2.1",) == resolver.addresses("www.example")

    def test_killed_at_every_switch(self, server):
        """An interruption leaves no socket, no greenlet and no look-up behind; others go on."""
        server.verbs["AAAA"] = fake_dns.first(fake_dns.wrong_id)

        def scenario(victim):
            with Resolver(
                nameservers=[server.address], hosts_file=None, resolv_conf=None
            ) as resolver:
                victim.spawn(resolver.addresses, "www.example")
                other = gevent.spawn(resolver.addresses, "www.example")
                victim.join()

                assert {"192.0.2.1", "2001:db8::1"} == set(other.get())
                assert 0 == resolver.stats().in_flight

        kill_walk(scenario, at_least=2)

    def test_alone_killed_at_every_switch(self, server):
        """The same for who waits alone, over UDP and TCP."""
        server.verb = fake_dns.truncate

        def scenario(victim):
            with Resolver(
                nameservers=[server.address], hosts_file=None, resolv_conf=None
            ) as resolver:
                victim.spawn(resolver.addresses, "www.example")
                victim.join()
                gevent.sleep(0)

                assert 0 == resolver.stats().in_flight

        kill_walk(scenario, at_least=2)


class TestOutage:
    @pytest.mark.attack(271)
    @pytest.mark.fault("F20")
    @pytest.mark.parametrize("verb", ["drop", "slow", "servfail", "garbage"])
    def test_and_back(self, make, server, verb):
        """A name fails at the deadline, what is cached is still there, and later all is well."""
        with ManualClock() as now:
            resolver = make(timeout=15, query_timeout=2, attempts=99)
            resolver.addresses("v4.example")
            slow = fake_dns.delay(30) if verb == "slow" else None
            server.verb = slow or getattr(fake_dns, verb)
            looking = gevent.spawn(_caught, resolver.addresses, "www.example")
            took = 0.0
            while not looking.ready():
                gevent.sleep(0.01)
                if not looking.ready():
                    now.advance(0.5)
                    took += 0.5
            assert took < 15 if verb == "servfail" else took == 15
            assert (ResolveError if verb == "servfail" else ResolveTimeout) is looking.get()
            assert ("192.0.2.4",) == resolver.addresses("v4.example")

            server.verb = fake_dns.answer
            now.advance(1)
            assert ("192.0.2.1",) == resolver.addresses("www.example")

    @pytest.mark.fault("F7", part="dns")
    def test_no_descriptor(self, make):
        """Without one a name fails, nothing hangs, and with one it is found."""
        resolver = make(failure_ttl=0)
        resolver.addresses("v4.example")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = Socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
        lowest.close()
        try:
            number = failure(resolver.addresses, "www.example")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

        assert socket.EAI_AGAIN == number
        assert ("192.0.2.1",) == resolver.addresses("www.example")


class TestRecords:
    def test_query(self, make, server):
        """Any type, as dnspython's records; kept like addresses."""
        server.add("example. 300 IN MX 10 mail.example.")
        resolver = make()
        for _ in range(2):
            answer = resolver.query("Example.", "mx")
            assert [(10, "mail.example.")] == [
                (each.preference, each.exchange.to_text()) for each in answer.records
            ]
        assert ("MX", "example", 300) == (answer.rdtype, answer.canonical_name, answer.ttl)
        assert [("example", "MX")] == server.questions
        assert ("MX", "example") == (resolver.query_async("example", "MX").get().rdtype, "example")

    def test_arguments(self, make, server):
        """What is no text is refused by its name, before anything is asked."""
        resolver = make()
        for call, name in (
            (lambda: resolver.query(5), "name"),
            (lambda: resolver.query("www.example", 5), "rdtype"),
            (lambda: resolver.query("www.example", "NONE SUCH"), "rdtype"),
            (lambda: resolver.reverse(5), "address"),
            (lambda: resolver.reverse(bytes(4)), "address"),
        ):
            with pytest.raises((TypeError, ValueError), match=name):
                call()
        assert [] == server.questions

    def test_names_of_services(self, make, server):
        """A name that is no host's may have underscores."""
        server.add("_http._tcp.example. 300 IN SRV 1 2 80 www.example.")

        assert 80 == make().query("_http._tcp.example", "SRV").records[0].port

    def test_errors(self, make, server):
        """As those of addresses, and they are kept as well."""
        resolver = make()

        assert socket.EAI_NONAME == failure(resolver.query, "nowhere.example", "MX")
        assert socket.EAI_NONAME == failure(resolver.query, "nowhere.example", "MX")
        assert socket.EAI_NODATA == failure(resolver.query, "www.example", "MX")
        assert socket.EAI_NONAME == failure(resolver.query, "nul\0.example", "MX")
        assert 2 == len(server.asked)
        with pytest.raises(ValueError, match="NONSENSE"):
            resolver.query("www.example", "NONSENSE")

    def test_reverse(self, make, server):
        """The names of an address."""
        server.add("1.2.0.192.in-addr.arpa. 300 IN PTR www.example.")
        resolver = make()

        assert ["www.example"] == resolver.reverse("192.0.2.1")
        with pytest.raises(ValueError, match="address"):
            resolver.reverse("www.example")


class TestLife:
    @pytest.mark.attack(274)
    def test_closed_meanwhile(self, make, server):
        """Who waits for a name when the resolver is closed is told so."""
        server.verb = fake_dns.drop
        resolver = make(query_timeout=30)
        waiting = [gevent.spawn(_caught, resolver.addresses, "www.example") for _ in range(2)]
        gevent.sleep(0.01)
        resolver.close()

        assert [ResourceClosed, ResourceClosed] == [each.get() for each in waiting]

    def test_closed(self, make):
        """It is of no use any more, and closing it twice is nothing."""
        resolver = make()
        with resolver:
            resolver.addresses("www.example")
        resolver.close()

        assert resolver.closed
        for call in (resolver.addresses, resolver.query):
            with pytest.raises(ResourceClosed):
                call("www.example")
        assert "closed" in repr(resolver)

    def test_another_thread(self, make):
        """It belongs to the hub that has used it first."""
        resolver = make()
        resolver.addresses("www.example")

        assert RuntimeError is gevent.get_hub().threadpool.apply(
            _caught, (resolver.addresses, "v4.example")
        )

    def test_stats(self, make):
        """Hits, misses and questions are counted."""
        resolver = make(address_types=None)
        for _ in range(3):
            resolver.addresses("www.example")
        failure(resolver.addresses, "nowhere.example")
        stats = resolver.stats()

        assert (2, 2, 4, 1, 2, 0) == (
            stats.hits,
            stats.misses,
            stats.queries,
            stats.failed,
            stats.entries,
            stats.in_flight,
        )

    def test_in_a_forked_child(self, make, server):
        """The child may go on with what is cached."""
        resolver = make()
        resolver.addresses("www.example")
        child = os.fork()
        if not child:
            os._exit(0 if resolver._hub is None and len(resolver._cache) == 1 else 1)

        assert 0 == os.waitpid(child, 0)[1]


def _caught(fn, *args):
    """The type of what a call raises."""
    try:
        return fn(*args)
    except Exception as error:
        return type(error)
