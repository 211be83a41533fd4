"""Where redirects lead, and what of the request may go there."""

from __future__ import annotations

import pytest

from galeph import http
from galeph.errors import HTTPError, RemoteProtocolError, StatusError, TooManyRedirects
from galeph.http.outgoing import Streamed
from galeph.http.redirects import next_hop
from galeph.http.request import Request
from galeph.message.headers import Headers
from galeph.message.url import parse_url
from tests.http.scripted import OK, pool_of, response, scripted

SECRETS = {"Authorization": ["a", "b"], "Cookie": "c", "Proxy-Authorization": "d"}


def hop(status, location="/there", *, method="GET", url="http://h/a/b", body=b"", headers=None):
    """What follows on a redirect."""
    target = parse_url(url)
    asked = Request._to_target(method, target, Headers(headers), body)
    fields = [("Location", one) for one in ([location] if isinstance(location, str) else location)]
    return next_hop(target, asked, body, http.Response(status, fields))


class TestDecision:
    @pytest.mark.parametrize(
        ("status", "method", "then"),
        [
            (301, "GET", "GET"),
            (301, "HEAD", "HEAD"),
            (301, "POST", "GET"),
            (301, "PUT", "PUT"),
            (302, "GET", "GET"),
            (302, "POST", "GET"),
            (302, "DELETE", "DELETE"),
            (303, "GET", "GET"),
            (303, "HEAD", "HEAD"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (307, "POST", "POST"),
            (308, "POST", "POST"),
            (308, "GET", "GET"),
        ],
    )
    @pytest.mark.attack(200)
    def test_the_method_that_follows(self, status, method, then):
        """303 asks with GET, 301 and 302 do so for a POST, the others repeat the method."""
        _, asked, _ = hop(status, method=method)

        assert then == asked.method

    @pytest.mark.attack(200)
    def test_a_changed_method_leaves_the_body_behind(self):
        """Where a GET follows, neither the body nor what describes it is sent."""
        headers = {"Content-Type": "x/y", "Content-Length": "4", "X-Own": "kept"}
        _, asked, body = hop(303, method="POST", body=b"body", headers=headers)

        assert b"" == body
        assert (("X-Own", "kept"),) == asked.headers.raw

    @pytest.mark.attack(200)
    def test_a_kept_method_keeps_the_body(self):
        """307 and 308 send the same body again."""
        _, asked, body = hop(307, method="POST", body=b"body", headers={"Content-Type": "x/y"})

        assert (b"body", "x/y") == (body, asked.headers["Content-Type"])

    @pytest.mark.attack(200)
    def test_a_streamed_body_cannot_be_repeated(self):
        """A body that was streamed is gone: the redirect is an error with the response."""
        with pytest.raises(HTTPError, match="streamed") as caught:
            hop(307, method="POST", body=Streamed(None, [], None))

        assert 307 == caught.value.response.status

    @pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 404])
    @pytest.mark.parity("REDIR-08")
    def test_other_statuses_are_answers(self, status):
        """A Location in any other response leads nowhere."""
        assert hop(status) is None

    @pytest.mark.parity("REDIR-09")
    def test_a_redirect_without_location_is_an_answer(self):
        """A redirect that does not say whereto is returned."""
        assert hop(302, []) is None

    @pytest.mark.parametrize(
        ("location", "url"),
        [
            ("c?d=e", "http://h/a/c?d=e"),
            ("//other/x", "http://other/x"),
            ("HTTPS://H:443/#frag", "https://h/"),
            ("/\xc3\xa4 b", "http://h/%C3%A4%20b"),
        ],
    )
    @pytest.mark.parity("REDIR-10", "REDIR-11")
    def test_locations_are_resolved(self, location, url):
        """A Location is relative to the URL that was asked for; octets of UTF-8 are escaped."""
        target, asked, _ = hop(302, location, url="http://h/a/b?old=query")

        assert (url, url) == (target.url, asked.url)

    @pytest.mark.parametrize(
        "location",
        [
            "file:///etc/passwd",
            "ftp://h/",
            "javascript:alert(1)",
            "unix:/run/x.sock",
            "http+unix://x",
            "",
            "http://",
            "http://127.1/",
            "http://a\\@b/",
            "/a\tb",
            "/\xff",
            ["/a", "/b"],
        ],
    )
    @pytest.mark.attack(198)
    def test_locations_that_are_none_are_errors(self, location):
        """Another scheme, an empty, ambiguous or repeated Location is the server's error."""
        with pytest.raises(RemoteProtocolError):
            hop(302, location)

    @pytest.mark.parametrize(
        "location",
        ["http://other/", "http://h:81/", "https://h/", "//h.h/", "http://h@other/"],
    )
    @pytest.mark.attack(196, 197)
    @pytest.mark.parity("REDIR-12")
    def test_credentials_stay_with_their_origin(self, location):
        """To another scheme, host or port no credential goes along, nor a Host of the caller's."""
        _, asked, _ = hop(307, location, headers={**SECRETS, "Host": "h", "X-Own": "kept"})

        assert (("X-Own", "kept"),) == asked.headers.raw

    @pytest.mark.attack(197)
    def test_credentials_do_not_leave_tls(self):
        """From https to http of the same host no credential goes along."""
        _, asked, _ = hop(302, "http://h/", url="https://h/", headers=SECRETS)

        assert () == asked.headers.raw

    def test_credentials_go_along_within_their_origin(self):
        """Within scheme, host and port (its default named or not) the headers stay as they are."""
        _, asked, _ = hop(302, "http://h:80/", headers=SECRETS)

        assert Headers(SECRETS) == asked.headers

    @pytest.mark.attack(201)
    def test_credentials_of_a_location_are_not_used(self):
        """Userinfo in a Location is the server's idea, not the caller's."""
        target, asked, _ = hop(302, "http://u:p@h/")

        assert "authorization" not in asked.headers
        assert "http://h/" == target.url


class TestFollowing:
    @staticmethod
    def server(*hops):
        """Redirect each path to the next."""

        def script(peer):
            while (asked := peer.read()) is not None:
                number = int(asked.target.strip("/") or 0)
                if number < len(hops):
                    status = f"{hops[number]} Redirect"
                    peer.send(response(b"go on", f"Location: /{number + 1}", status=status))
                else:
                    peer.send(response(asked.body, f"X-Method: {asked.method}"))

        return scripted(script)

    @pytest.mark.parity("REDIR-01")
    def test_redirects_are_followed(self):
        """The response is that of the last hop, and says where that was."""
        with self.server(301, 302, 303, 307, 308) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)

            assert (200, f"{server.url}5") == (received.status, received.url)
        assert 1 == server.accepted

    @pytest.mark.parity("REDIR-01")
    def test_or_not(self):
        """With `follow_redirects=False` the redirect is the response."""
        with self.server(301) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool, follow_redirects=False).result(5)

            assert (301, "/1", b"go on") == (
                received.status,
                received.headers["Location"],
                received.bytes(),
            )

    def test_a_body_goes_through_308(self):
        """A body at hand is sent to the last hop."""
        with self.server(308, 307) as server, pool_of() as pool:
            received = http.post(server.url, body=b"body", pool=pool).result(5)

            assert (b"body", "POST") == (received.bytes(), received.headers["X-Method"])

    @pytest.mark.attack(199)
    @pytest.mark.parity("REDIR-02", "REDIR-03")
    def test_20_are_followed_and_no_more(self):
        """20 redirects are followed; the 21st is a TooManyRedirects with its response."""
        with self.server(*[302] * 20) as server, pool_of() as pool:
            assert 200 == http.get(server.url, pool=pool).result(5).status
        with self.server(*[302] * 21) as server, pool_of() as pool:
            with pytest.raises(TooManyRedirects) as caught:
                http.get(server.url, pool=pool).result(5)

            assert 302 == caught.value.response.status

    @pytest.mark.attack(199)
    def test_a_loop_ends(self):
        """A redirect to itself ends like any other row of too many; the limit can be set."""
        limits = http.Limits(max_redirects=3)
        answer = response(b"", "Location: /", status="302 Found")
        with scripted(answer) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, limits=limits)
            with pytest.raises(TooManyRedirects):
                pending.result(5)

        assert 4 == len(server.asked)

    @pytest.mark.attack(196)
    def test_secrets_do_not_reach_another_server(self):
        """The server a redirect leads to sees no Authorization or Cookie of the first one's."""
        with scripted(OK) as other:
            away = response(b"", f"Location: {other.url}", status="302 Found")
            with scripted(away) as server, pool_of() as pool:
                url = server.url.replace("//", "//user:pass@")
                http.get(url, headers={"Cookie": "a=b"}, pool=pool).result(5)

        assert {"host", "user-agent", "accept"} == set(other.asked[0].headers)
        assert f"127.0.0.1:{other.port}" == other.asked[0].header("host")

    def test_a_large_body_of_a_redirect_is_not_waited_for(self):
        """A redirect whose own body does not end is left with its connection."""

        def script(peer):
            peer.read()
            peer.send(
                b"HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
            )
            peer.wait_closed()

        with scripted(script, OK) as server, pool_of() as pool:
            assert b"ok" == http.get(server.url, pool=pool).result(5).bytes()
        assert 2 == server.accepted

    @pytest.mark.parity("REDIR-15")
    def test_the_last_status_decides(self):
        """`raise_for_status` looks at the end of the row only."""

        def script(peer):
            while (asked := peer.read()) is not None:
                status = "301 Moved" if asked.target == "/" else "401 Unauthorized"
                peer.send(response(b"", "Location: /x", status=status))

        with scripted(script) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, raise_for_status=True)
            with pytest.raises(StatusError, match="401"):
                pending.result(5)
