"""Host names before they are sent."""

from __future__ import annotations

import pytest

from galeph.dns.hostnames import (
    InvalidName,
    candidates,
    check_ascii,
    decode_idna,
    encode_host,
    is_local,
    is_nowhere,
)

LABEL = "a" * 63
LONGEST = ".".join([LABEL, LABEL, LABEL, "a" * 61])


class TestEncode:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("www.example", "www.example"),
            ("WWW.Example.", "www.example."),
            ("bücher.example", "xn--bcher-kva.example"),
            ("r3---sn-x.example", "r3---sn-x.example"),
            ("trailing-.example", "trailing-.example"),
            (f"{LABEL}.example", f"{LABEL}.example"),
            (LONGEST, LONGEST),
            (f"{LONGEST}.", f"{LONGEST}."),
        ],
    )
    def test_taken(self, given, expected):
        """A host name goes out in ASCII and in lower case."""
        assert expected == encode_host(given)

    @pytest.mark.attack(272)
    @pytest.mark.parametrize(
        "given",
        [
            "",
            ".",
            "a..b",
            ".a",
            f"a{LABEL}.example",
            f"a{LONGEST}",
            "nul\0.example",
            "new\nline.example",
            "white space.example",
            "tab\t.example",
            "del\x7f.example",
            "under_score.example",
            "slash/.example",
            "star*.example",
            "-dash.example",
            "ü" * 64 + ".example",
            "a\u2488com",
            "\ud800.example",
        ],
    )
    def test_refused(self, given):
        """What no DNS could hold, and what is no host name, is refused before it is sent."""
        with pytest.raises(InvalidName):
            encode_host(given)

    def test_underscores(self):
        """They are taken where they are asked for."""
        assert "my_db" == encode_host("my_db", allow_underscores=True)

    def test_names_of_records(self):
        """A name that is no host's may have more in it."""
        check_ascii("_http._tcp.example.")
        with pytest.raises(InvalidName):
            check_ascii("nul\0.example")
        with pytest.raises(InvalidName):
            check_ascii(f"a{LABEL}")


def test_decode():
    """What people read; what cannot be decoded stays."""
    assert "bücher.example" == decode_idna("xn--bcher-kva.example")
    assert "xn--zzzzzz-.example" == decode_idna("xn--zzzzzz-.example")


@pytest.mark.parametrize(
    ("host", "local", "nowhere"),
    [
        ("localhost", True, False),
        ("a.localhost.", True, False),
        ("notlocalhost", False, False),
        ("localhost.example", False, False),
        ("x.invalid", False, True),
        ("x.onion.", False, True),
        ("invalid.example", False, False),
    ],
)
def test_known_by_definition(host, local, nowhere):
    """RFC 6761: localhost is here, and some names are nowhere."""
    assert (local, nowhere) == (is_local(host), is_nowhere(host))


class TestCandidates:
    SEARCH = ("a.example", "b.example")

    @pytest.mark.parity("DNS-11")
    def test_short_names_are_searched_first(self):
        """One with fewer dots than ndots is tried in the search domains before it is as it is."""
        assert ["db.a.example", "db.b.example", "db"] == candidates("db", self.SEARCH, 1)

    @pytest.mark.parity("DNS-12")
    @pytest.mark.parametrize(("ndots", "first"), [(2, "x.y.z"), (3, "x.y.z.a.example")])
    def test_ndots(self, ndots, first):
        """From ``ndots`` dots on the name as it is comes first."""
        assert first == candidates("x.y.z", self.SEARCH, ndots)[0]
        assert 3 == len(candidates("x.y.z", self.SEARCH, ndots))

    def test_full_names(self):
        """A last dot says that there is nothing to search."""
        assert ["db"] == candidates("db.", self.SEARCH, 5)

    def test_what_is_too_long(self):
        """No name is tried that could not be sent."""
        assert [LONGEST] == candidates(LONGEST, self.SEARCH, 1)
