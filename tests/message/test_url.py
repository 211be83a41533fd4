"""URLs are taken apart in one way only; everything ambiguous is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from galeph.message.fields import validate_field
from galeph.message.url import Target, parse_url, resolve_reference, split_url


def test_a_url_is_taken_apart():
    """Scheme, host, port, path and query are what the URL says; the fragment stays behind."""
    assert Target("https", "example.com", 8443, "example.com:8443", "/a/b", "c=d&e") == parse_url(
        "https://example.com:8443/a/b?c=d&e#f?g"
    )


@pytest.mark.parametrize(
    ("url", "port", "authority"),
    [
        ("http://h", 80, "h"),
        ("http://h:80/", 80, "h"),
        ("http://h:/", 80, "h"),
        ("https://h:443", 443, "h"),
        ("https://h:80", 80, "h:80"),
        ("http://[::1]:81/", 81, "[::1]:81"),
    ],
)
@pytest.mark.parity("HTTP-C-12")
def test_the_default_port_is_not_named(url, port, authority):
    """The authority leaves out the port that its scheme has anyway."""
    target = parse_url(url)

    assert (port, authority) == (target.port, target.authority)


def test_an_empty_path_is_the_root():
    """A URL without a path asks for "/", also where a query follows the host."""
    assert "/" == parse_url("http://h").path
    assert ("/", "a=1") == (parse_url("http://h?a=1").path, parse_url("http://h?a=1").query_string)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h/a b", "/a%20b"),
        ("http://h/é?ü=ß", "/%C3%A9?%C3%BC=%C3%9F"),
        ("http://h/%41%2f%2F", "/%41%2f%2F"),
        ("http://h/100%", "/100%25"),
        ("http://h/a%20b?c%20d", "/a%20b?c%20d"),
        ('http://h/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("http://h/a/../b/./c", "/a/../b/./c"),
        (
            "http://h/!$&'()*+,;=:@-._~?!$&'()*+,;=:@-._~/?",
            "/!$&'()*+,;=:@-._~?!$&'()*+,;=:@-._~/?",
        ),
    ],
)
@pytest.mark.parity("HTTP-C-08")
def test_illegal_characters_are_encoded_and_legal_ones_left(url, sent):
    """What may not stand in a path or query is percent-encoded; the rest is sent untouched."""
    target = parse_url(url)
    path, _, query = sent.partition("?")

    assert (path, query) == (target.path, target.query_string)
    assert target == parse_url(target.url)  # once encoded, always the same


@pytest.mark.attack(192)
@pytest.mark.parametrize("bad", ["\r", "\n", "\r\nX: y", "\0", "\x7f", "\t", "\x85", "\u2028"])
@pytest.mark.parametrize(
    "place", ["http://h/a{}b", "http://h/?a{}b", "http://h{}a/", "http://u{}:p@h/"]
)
def test_control_characters_are_refused_wherever_they_stand(place, bad):
    """A control character in a URL is an error, never stripped and never sent."""
    with pytest.raises(ValueError, match="url"):
        parse_url(place.format(bad))
    with pytest.raises(ValueError, match="url"):
        split_url(place.format(bad))
    with pytest.raises(ValueError, match="url"):
        split_url(f"/a{bad}b")


@pytest.mark.attack(192)
def test_escapes_and_spaces_in_path_and_query_stay_escapes():
    """What is escaped is never decoded on the way out, and a space is escaped."""
    target = parse_url("http://h/a%0d%0aX b?c%00 d")

    assert ("/a%0d%0aX%20b", "c%00%20d") == (target.path, target.query_string)


@pytest.mark.attack(192)
@pytest.mark.parametrize(
    "url", ["http://h%0d%0aX/", "http://h h/", " http://h/", "http://h/ ", "http://u%0A:p@h/"]
)
def test_escapes_and_spaces_cannot_smuggle_into_host_and_userinfo(url):
    """A host holds no escape and no space, userinfo no control character after decoding."""
    with pytest.raises(ValueError, match="url"):
        parse_url(url)


@pytest.mark.attack(229)
@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "127.0.0.01",
        "0x7f.0.0.1",
        "0x7f000001",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4.",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "[::1",
        "::1",
        "a\\@b",
        "a@b@c",
        "a_.b..c",
        "-a",
        "a-",
        "a*b",
        "a%41",
        "",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "a℀b.com",
        "xn--\u0000",
        "\u202e.com",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "h:0",
        "h:65536",
        "h:+80",
        "h:\uff18\uff10",
        "h:80:80",
    ],
)
def test_ambiguous_hosts_are_refused(host):
    """A host that two programs could read differently is refused, whatever a resolver would do."""
    with pytest.raises(ValueError, match="url"):
        parse_url(f"http://{host}/")


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        ("EXAMPLE.com", "example.com"),
        ("example.com.", "example.com."),
        ("my_service-1", "my_service-1"),
        ("127.0.0.1", "127.0.0.1"),
        ("[0:0::1]", "::1"),
        ("[2001:DB8::A]", "2001:db8::a"),
        ("1password.com", "1password.com"),
        ("127.0.0.1.example", "127.0.0.1.example"),
    ],
)
@pytest.mark.parity("HTTP-C-10")
def test_hosts_get_their_one_form(host, canonical):
    """Names are lower case, addresses in their shortest form and without brackets."""
    assert canonical == parse_url(f"http://{host}/").host


@pytest.mark.parity("HTTP-C-09")
def test_international_names_are_sent_in_ascii():
    """An international name, top level included, becomes its ASCII form."""
    target = parse_url("http://bücher.рф:8080/")

    assert ("xn--bcher-kva.xn--p1ai", "xn--bcher-kva.xn--p1ai:8080") == (
        target.host,
        target.authority,
    )


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://h/", "javascript:alert(1)", "/a", "h/a", "//h/a", "", "http:h"],
)
def test_only_absolute_http_urls_are_requested(url):
    """A relative URL, or another scheme, names no server to ask."""
    with pytest.raises(ValueError, match="url"):
        parse_url(url)


def test_userinfo_becomes_a_basic_authorization():
    """Userinfo is decoded for Basic, and no trace of it is left in host, URL or repr."""
    target = parse_url("http://user:p%40ss@h/x")

    assert "Basic dXNlcjpwQHNz" == target.authorization
    assert "http://h/x" == target.url
    assert "dXNl" not in repr(target)


def test_credentials_belong_to_the_parsed_host():
    """What looks like a host before "@" is a user name."""
    target = parse_url("http://good.example:80@evil.example/")

    assert ("evil.example", "Basic Z29vZC5leGFtcGxlOjgw") == (target.host, target.authorization)


def test_error_texts_do_not_show_a_password():
    """An error about a URL with userinfo leaves the userinfo out."""
    with pytest.raises(ValueError, match="url") as caught:
        parse_url("http://user:secret@h/\n")

    assert "secret" not in str(caught.value)


@pytest.mark.parity("HTTP-C-23")
def test_params_follow_the_query():
    """Params are form-encoded and appended to the query that is there."""
    assert "a=1&b=x+y&b=2" == parse_url("http://h/?a=1", {"b": ["x y", 2]}).query_string
    assert "b=1" == parse_url("http://h/", [("b", 1)]).query_string
    assert "a=1" == parse_url("http://h/?a=1", {}).query_string


def test_params_that_are_no_pairs_are_named():
    """A bad params is an error that says so."""
    with pytest.raises(TypeError, match="params"):
        parse_url("http://h/", {"a": object()})


def test_a_url_object_is_taken():
    """A yarl URL may be given in place of text; anything else is a TypeError."""
    assert "http://h:81/a?b=c" == parse_url(URL("http://h:81/a?b=c")).url
    with pytest.raises(TypeError, match="url"):
        parse_url(b"http://h/")


def test_split_url_takes_a_path_alone():
    """A path has the scheme "http" and no host; "*" is what OPTIONS may ask for."""
    assert ("http", "", "/a%20b", "c=%C3%A9") == split_url("/a b?c=é#d")
    assert ("http", "", "//not-a-host", "") == split_url("//not-a-host")
    assert ("http", "", "*", "") == split_url("*")
    assert ("https", "h:81", "/", "") == split_url("https://h:81")


def test_split_url_has_no_place_for_userinfo():
    """Userinfo would get lost, so it is refused."""
    with pytest.raises(ValueError, match="Authorization"):
        split_url("http://u:p@h/")


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("c", "http://h/a/c"),
        ("/c d", "http://h/c%20d"),
        ("../é?y#f", "http://h/%C3%A9?y"),
        ("?z", "http://h/a/b?z"),
        ("//other/p", "http://other/p"),
        ("https://other/p", "https://other/p"),
        ("/%2e%2E/x%2fy", "http://h/%2e%2E/x%2fy"),
    ],
)
def test_references_are_resolved(reference, url):
    """A reference means what RFC 3986 section 5 says at the URL it was found at."""
    assert url == parse_url(resolve_reference("http://h/a/b?x", reference)).url


@pytest.mark.parametrize("reference", ["", "\r\nX: y", "/a\n", "///a", "http:a"])
def test_references_that_lead_nowhere_are_refused(reference):
    """An empty reference, one with controls, or one without a host is an error."""
    with pytest.raises(ValueError, match="url"):
        parse_url(resolve_reference("http://h/a", reference))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_accepted_can_be_sent(host, path, query):
    """Any text either is refused or gives a target that is valid in a request line and Host."""
    try:
        target = parse_url(f"http://{host}/{path}?{query}")
    except ValueError:
        return
    line = f"{target.path}?{target.query_string}"

    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    validate_field("Host", target.authority)
    assert target == Target(
        *(getattr(parse_url(target.url), name) for name in Target.__slots__[:-1]),
        target.authorization,
    )
