"""Requests as bytes, and the one right answer to each.

`REFUSED` holds what must not be served: the number of the attack it is an instance of (0 for
none), the status of the answer, and the bytes. `ACCEPTED` holds what must be: the bytes and what a
server understands. Every row is complete in itself, so that it can be sent to an engine, to a
server, or through another server to ours; a refused one is followed by nothing.

A row in which ``%`` stands for a whole head writes only what matters: `head` fills in the rest.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ACCEPTED", "REFUSED", "Accepted", "Refused", "Understood", "head"]


class Refused(NamedTuple):
    """A request that must be answered with ``status``, after which the connection ends."""

    attack: int
    status: int
    data: bytes


class Understood(NamedTuple):
    """What a server makes of one request."""

    method: str
    target: str
    authority: str = "h"
    body: bytes = b""
    trailers: tuple[tuple[str, str], ...] | None = None
    http_version: str = "HTTP/1.1"


class Accepted(NamedTuple):
    """Bytes that are one or more requests, in order."""

    name: str
    data: bytes
    requests: tuple[Understood, ...]


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: h\r\n") -> bytes:
    """A head with these field lines, and a body-less end."""
    return start + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _chunked(body: bytes, *lines: bytes) -> bytes:
    return head(*lines, b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.1") + body


def _started(attack: int, status: int, *starts: bytes) -> list[Refused]:
    return [Refused(attack, status, head(start=start)) for start in starts]


def _fielded(attack: int, status: int, *lines: bytes) -> list[Refused]:
    return [Refused(attack, status, head(line)) for line in lines]


def _bodied(attack: int, status: int, *bodies: bytes) -> list[Refused]:
    return [Refused(attack, status, _chunked(body)) for body in bodies]


_HELLO = b"5\r\nhello\r\n0\r\n\r\n"

# The request line

_METHODS = _started(
    1,
    400,
    b'G=":<>(e),[T];?" /get HTTP/1.1',
    b"bla:rgh / HTTP/1.1",
    b"GET: / HTTP/1.1",
    b"G\0T / HTTP/1.1",
    b"GET\x7f / HTTP/1.1",
    b"{GET} / HTTP/1.1",
    b"GET@h / HTTP/1.1",
    b"\x00GET / HTTP/1.1",
    b'"GET" / HTTP/1.1',
) + _started(
    3,
    400,
    b"GET\xc3\x9f / HTTP/1.1",
    b"\xffGET / HTTP/1.1",
    b"G\xa0ET / HTTP/1.1",
    b"\xc4 / HTTP/1.1",
)

_SPACES = [
    *_started(
        4,
        400,
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET\x0b/ HTTP/1.1",
        b"GET /\x0cHTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/1.1\t",
        b"GET\n/ HTTP/1.1",
        b"GET /\nHTTP/1.1",
        b"GET\x1c/ HTTP/1.1",
        b"GET\xa0/ HTTP/1.1",
        b"GET / a HTTP/1.1",
    ),
    Refused(5, 400, b" " + head()),
    Refused(5, 400, b"\t" + head()),
    Refused(5, 400, b"\n" + head()),
    Refused(5, 400, b"\r" + head()),
    Refused(5, 400, b"\r\n\r\n" + head()),
    Refused(5, 400, b"\r\n" * 10_000 + head()),
    Refused(5, 400, b"\r\n \r\n" + head()),
]

_VERSIONS = (
    _started(6, 400, b"GET /", b"GET", b"GET / ")
    + _started(
        7,
        400,
        b"GET / HTTP/1.32",
        b"GET / HTTP/111",
        b"GET / HTTP/1.",
        b"GET / HTTP/" + b"1" * 90 + b".1",
        b"GET / HTTP/4294967295.255",
        b"GET / HTTP/\r\r1.1",
        b"GET / FTP/1.1",
        b"GET / HTTP/.1",
        b"GET / HTTP/1",
        b"GET / HTTP/",
        b"GET / HTTP",
        b"GET / http/1.1",
        b"GET / HTTP/a.b",
        b"GET / HTTP/-1.1",
        b"GET / HTTP/1,1",
        b"GET / HTTP /1.1",
        b"GET / HTTP/1.1.1",
        b"GET / HTTP/\xd9\xa1.1",
        b"GET / HTTP/01.1",
        b"GET / HTTP/1.1\x00",
    )
    + _started(7, 505, b"GET / HTTP/1.2", b"GET / HTTP/1.9")
    + _started(8, 505, b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/3.0", b"GET / HTTP/9.9")
    + [Refused(0, 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    + [
        Refused(
            0, 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n"
        )
    ]
)

_TARGETS = (
    _started(9, 400, b"GET * HTTP/1.1", b"OPTIONS */test HTTP/1.1", b"OPTIONS ** HTTP/1.1")
    + _started(
        10,
        400,
        b"GET host:443 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"CONNECT http://h:80 HTTP/1.1",
        b"CONNECT host HTTP/1.1",
        b"CONNECT host: HTTP/1.1",
        b"CONNECT host:99999 HTTP/1.1",
        b"CONNECT u@host:80 HTTP/1.1",
        b"CONNECT * HTTP/1.1",
    )
    + _started(
        11,
        400,
        b"GET admin/a HTTP/1.1",
        b"GET ../../etc/passwd HTTP/1.1",
        b"GET ! HTTP/1.1",
        b"GET ?a HTTP/1.1",
        b"GET . HTTP/1.1",
    )
    + _started(12, 400, *[b"GET /a%cb HTTP/1.1" % byte for byte in (*range(33), *range(127, 256))])
    + _started(13, 400, b"GET /a#b HTTP/1.1", b"GET # HTTP/1.1", b"GET http://h/#a HTTP/1.1")
    + _started(
        15,
        400,
        b"GET s://]ufd/: HTTP/1.1",
        b"GET ftp://h/ HTTP/1.1",
        b"GET http://[::1/ HTTP/1.1",
        b"GET http://[h]/ HTTP/1.1",
        b"GET http://h:a/ HTTP/1.1",
        b"GET http://h:65536/ HTTP/1.1",
        b"GET http:///a HTTP/1.1",
        b"GET http:/h/a HTTP/1.1",
        b"GET http://u:p@h/ HTTP/1.1",
        b"GET http://h\\@e/ HTTP/1.1",
        b"GET ://h/ HTTP/1.1",
    )
    + _started(16, 414, b"GET /" + b"a" * 8192 + b" HTTP/1.1", b"G" * 8193 + b" / HTTP/1.1")
)

# Fields

_HOSTS = [
    Refused(21, 400, head(host=b"")),
    Refused(21, 400, head(host=b"X-Host: h\r\n")),
    Refused(21, 400, head(start=b"GET http://h/ HTTP/1.1", host=b"")),
    *_fielded(22, 400, b"Host: h", b"Host: other", b"HOST: h", b"host:"),
    *[
        Refused(23, 400, head(host=b"Host:" + value + b"\r\n"))
        for value in (
            *(b"", b" ", b" h/p", b" u@h", b" u:p@h", b" a b", b" a,b", b" h:x", b" h:99999"),
            *(
                b" h:80:80",
                b" :80",
                b" ::1",
                b" [::1",
                b" [x]",
                b" h?x",
                b" h#x",
                b" h\\x",
                b' "h"',
            ),
            *(b" <h>", b" h%zz", b" \xe9", b" http://h", b" h;\x7f", b" h\tx", b" h\x01"),
        )
    ],
]

_LINES = [
    *_fielded(24, 400, b"Te", b"Content-Length 10", b"x", b"Transfer-Encoding chunked"),
    *_fielded(
        25, 400, b"Content-Length : 3", b"X\t: y", b"Transfer-Encoding : chunked", b"Host : h"
    ),
    Refused(26, 400, head(b"Host: h", host=b" X: y\r\n")),
    Refused(26, 400, head(b"Host: h", host=b"\tX: y\r\n")),
    *_fielded(27, 400, b"X: y\r\n z", b"X: y\r\n\tz", b"X:\r\n y", b"X: y\r\n ", b"X: y\r\n :z"),
    *_fielded(27, 400, b"Transfer-Encoding:\r\n chunked", b"Content-Length:\r\n\t5"),
    *_fielded(28, 400, b": x", b":", b":: x", b" : x"),
    *_fielded(29, 400, *[b"X%cY: z" % byte for byte in b'\0"(),/;<=>?@[\\]{}\x80\xff\x7f\x1f']),
    *_fielded(29, 400, b"\xc3\xa9: z", b"X\xa0: z", b"\xef\xbb\xbfX: z"),
    *_fielded(30, 400, b"X: a\rb", b"X: a\nb", b"X: a\0b", b"X: \0", b"X: a\r", b"X: a\n\r"),
    *_fielded(30, 400, b"X: a\nTransfer-Encoding: chunked", b"X: a\rTransfer-Encoding: chunked"),
    *_fielded(
        31,
        400,
        *[b"X: a%cb" % byte for byte in (*range(1, 9), *range(11, 13), *range(14, 32), 127)],
    ),
    *_fielded(
        32, 501, *[b"Transfer-Encoding: %cchunked%c" % (byte, byte) for byte in b"\xa0\x85\xff"]
    ),
    *_fielded(32, 400, b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x0c"),
    Refused(33, 400, b"GET / HTTP/1.1\nHost: h\n\n"),
    Refused(33, 400, b"GET / HTTP/1.1\r\nHost: h\n\r\n"),
    Refused(33, 400, b"GET / HTTP/1.1\r\nHost: h\r\n\n"),
    Refused(33, 400, b"GET / HTTP/1.1\nHost: h\r\n\r\n"),
    Refused(34, 400, b"GET / HTTP/1.1\rHost: h\r\r"),
    Refused(34, 400, b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"),
    Refused(34, 400, b"GET / HTTP/1.1\r\nHost: h\r\n\rX"),
    Refused(34, 400, b"GET / HTTP/1.1\r\nHost: h\r\n\r\rX"),
    Refused(35, 431, head(*[b"X: y"] * 10_000)),
    Refused(35, 431, head(*[b"X%d: y" % n for n in range(128)])),
    Refused(35, 431, head(b"X: " + b"y" * 1_000_000)),
    Refused(35, 431, head(b"X: " + b"y" * 8190)),
    Refused(35, 431, head(*[b"X: " + b"y" * 1021] * 64)),
    Refused(37, 431, head(*[b"X-Same: y"] * 129)),
    *[
        Refused(40, 400, head(name + b": x", name + b": y"))
        for name in (
            *(b"Content-Type", b"Authorization", b"If-Match", b"If-None-Match", b"If-Range"),
            *(b"If-Modified-Since", b"If-Unmodified-Since", b"Upgrade", b"Range", b"User-Agent"),
        )
    ],
    Refused(58, 400, head(b"Transfer-\r\nEncoding: chunked")),
    Refused(58, 400, head(b"Transfer-Encoding\r\n: chunked")),
    *_fielded(
        110,
        417,
        b"Expect: unknown",
        b"Expect: token=param",
        b"Expect: y 100-continue",
        b"Expect: 100-continue, y",
        b"Expect:",
    ),
]

# Framing

_FRAMINGS = [
    *[
        Refused(44, 400, head(*lines, start=b"POST / HTTP/1.1") + _HELLO)
        for lines in (
            (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
            (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
            (b"content-length: 15", b"TRANSFER-ENCODING: Chunked"),
            (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
            (b"Content-Length: 5", b"Transfer-Encoding: identity"),
            (b"Content-Length: 5", b"Transfer-Encoding:"),
            (b"Content-Length: 5", b"X: \xe9", b"Transfer-Encoding: chunked"),
        )
    ],
    Refused(45, 400, head(b"Content-Length: 5", b"Content-Length: 6") + b"hello!"),
    Refused(45, 400, head(b"Content-Length: 5", b"X: \xe9", b"Content-Length: 6") + b"hello!"),
    Refused(46, 400, head(b"Content-Length: 5", b"Content-Length: 5") + b"hello"),
    Refused(46, 400, head(b"Content-Length: 5", b"X: \xe9", b"Content-Length: 5") + b"hello"),
    Refused(46, 400, head(b"Content-Length: 5, 5") + b"hello"),
    Refused(46, 400, head(b"X: \xe9", b"Content-Length: 5,5") + b"hello"),
    *[
        Refused(47, 400, head(b"Content-Length:" + value) + b"hello")
        for value in (
            *(b" +5", b" -1", b" -0", b" 0x10", b" 1_0", b" 1Z", b" 0 1", b" 3 1", b"", b"   "),
            *(
                b" 5;",
                b" 5.0",
                b' "5"',
                b" 5,",
                b" ,5",
                b" 5e0",
                b" (5)",
                b" 5#",
                b" 0b1",
                b" five",
            ),
        )
    ],
    *_fielded(
        48, 400, b"Content-Length: \xd9\xa5", b"Content-Length: \xb2", b"Content-Length: \xa05"
    ),
    *_fielded(50, 413, b"Content-Length: 9223372036854775808", b"Content-Length: 9999999999"),
    *_fielded(50, 400, b"Content-Length: 18446744073709551616", b"Content-Length: " + b"9" * 5000),
    *_fielded(50, 400, b"Content-Length: " + b"0" * 5000, b"Content-Length: " + b"0" * 20 + b"5"),
    *[
        Refused(attack, status, head(*lines, start=b"POST / HTTP/1.1") + _HELLO)
        for attack, status, *lines in (
            (51, 501, b"Transfer-Encoding: xchunked"),
            (51, 501, b"Transfer-Encoding: chunkedchunked"),
            (51, 501, b"Transfer-Encoding: identity"),
            (51, 501, b'Transfer-Encoding: "chunked"'),
            (51, 501, b"Transfer-Encoding: 'chunked'"),
            (51, 501, b"Transfer-Encoding: chunk"),
            (51, 501, b"Transfer-Encoding: cow"),
            (51, 501, b"Transfer-Encoding: chunked;q=1"),
            (51, 501, b"Transfer-Encoding: deflate"),
            (52, 400, b"Transfer-Encoding: chunked, identity"),
            (52, 400, b"Transfer-Encoding: chunked, gzip"),
            (52, 400, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
            (52, 400, b"Transfer-Encoding: chunked", b"X: \xe9", b"Transfer-Encoding: cow"),
            (53, 400, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
            (53, 400, b"Transfer-Encoding: chunked", b"X: \xe9", b"transfer-encoding: chunked"),
            (53, 400, b"Transfer-Encoding: chunked, chunked"),
            (54, 400, b"Transfer-Encoding: ,chunked"),
            (54, 400, b"Transfer-Encoding: chunked,"),
            (54, 400, b"Transfer-Encoding:"),
            (54, 400, b"Transfer-Encoding: , ,"),
            (55, 501, b"Transfer-Encoding: gzip, chunked"),
            (55, 501, b"Transfer-Encoding: identity, chunked"),
            (55, 501, b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
        )
    ],
    Refused(56, 400, head(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0") + _HELLO),
    Refused(56, 400, head(b"Transfer-Encoding: gzip", start=b"POST / HTTP/1.0", host=b"") + _HELLO),
    Refused(0, 400, head(b"Content-Length: 5", start=b"CONNECT h:1 HTTP/1.1") + b"hello"),
    Refused(0, 400, head(b"Transfer-Encoding: chunked", start=b"CONNECT h:1 HTTP/1.1") + _HELLO),
]

# Chunks

_CHUNKS = [
    *_bodied(
        67,
        400,
        *[
            size + b"\r\nhello\r\n0\r\n\r\n"
            for size in (
                *(
                    b"0x5",
                    b"+5",
                    b"-5",
                    b"5_0",
                    b" 5",
                    b"5 ",
                    b"5\t",
                    b"\xd9\xa5",
                    b"5h",
                    b"5.0",
                    b"#5",
                ),
                *(b"\x005", b"5\x00", b"'5'", b"5,5", b"05 ;a", b"5\xa0", b"5=a"),
            )
        ],
    ),
    *_bodied(68, 400, b"\r\nhello\r\n0\r\n\r\n", b";a=b\r\nhello\r\n0\r\n\r\n", b";\r\n\r\n"),
    *_bodied(
        69,
        400,
        b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n",
        b"f" * 16 + b"\r\nx",
        b"0" * 30 + b"\r\n\r\n",
    ),
    *_bodied(69, 400, b"1" + b"0" * 16 + b"\r\nx", b"8000000000000000\r\nx"),
    *_bodied(
        70,
        400,
        *[
            b"5\r\nhello" + end + b"0\r\n\r\n"
            for end in (
                b"xx",
                b"\n",
                b"\r",
                b"\n\r",
                b"  ",
                b" \r\n",
                b"",
                b"\r\r",
                b"x\r\n",
                b"\0\0",
            )
        ],
    ),
    *_bodied(71, 400, b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\n\n", b"5\rXhello\r\n0\r\n\r\n"),
    *_bodied(72, 400, b"5;a\rb\r\nhello\r\n0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    *_bodied(
        72,
        400,
        b"5;a=\r\rb\r\nhello\r\n0\r\n\r\n",
        b"5;\n\r\nhello\r\n0\r\n\r\n",
        b"5;a\0\r\nhello",
    ),
    *_bodied(73, 400, b'5;a="\r\nhello\r\n0\r\n\r\n', b'5;a="b\r\nc"\r\nhello\r\n0\r\n\r\n'),
    *_bodied(73, 400, b'5;a="b\\"\r\nhello\r\n0\r\n\r\n', b'5;a=b"\r\nhello\r\n0\r\n\r\n'),
    *_bodied(74, 400, b"5;" + b"a" * 8192 + b"\r\nhello", b"5;" + b"a" * 100_000),
    *_bodied(74, 400, (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 600),
    *_bodied(75, 400, b"1\r\nx\r\n" * 30_000),
    *_bodied(77, 400, b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    *_bodied(78, 400, b"x\r\nhello\r\n0\r\n\r\n" + head()),
    *_bodied(0, 413, b"7fffffffffffffff\r\n", b"40000001\r\n"),
    *[
        Refused(80, 400, _chunked(b"0\r\n" + name + b": 1\r\n\r\n"))
        for name in (
            *(b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"Cookie"),
            *(b"content-length", b"Set-Cookie", b"Proxy-Authorization", b"Connection", b"Upgrade"),
        )
    ],
    *_bodied(81, 400, b"0\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n"),
    *_bodied(81, 400, b"0\r\nGET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    *_bodied(82, 431, b"0\r\n" + b"X: y\r\n" * 33 + b"\r\n", b"0\r\nX: " + b"y" * 8200),
    *_bodied(83, 400, b"0\r\nX: y\n\r\n", b"0\r\nX: y\n\n", b"0\r\n\n", b"0\n\r\n"),
    *_bodied(
        0,
        400,
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: \0\r\n\r\n",
        b"0\r\nXY\r\n\r\n",
    ),
]

REFUSED: tuple[Refused, ...] = (
    *_METHODS,
    *_SPACES,
    *_VERSIONS,
    *_TARGETS,
    *_HOSTS,
    *_LINES,
    *_FRAMINGS,
    *_CHUNKS,
)


# What must be served

_GET = Understood("GET", "/")


def _one(
    name: str, data: bytes, *, method: str = "GET", target: str = "/", **fields: str
) -> Accepted:
    return Accepted(name, data, (Understood(method, target, **fields),))  # type: ignore[arg-type]


def _line(start: bytes, method: str, target: str, **fields: str) -> Accepted:
    return _one(start.decode(), head(start=start), method=method, target=target, **fields)


def _body(name: str, data: bytes, body: bytes = b"hello", **fields: object) -> Accepted:
    return Accepted(name, data, (Understood("POST", "/", body=body, **fields),))  # type: ignore[arg-type]


_POST = b"POST / HTTP/1.1"

ACCEPTED: tuple[Accepted, ...] = (
    _one("the least", head()),
    _one("an empty line first", b"\r\n" + head()),
    _one("no host in 1.0", b"GET / HTTP/1.0\r\n\r\n", authority="", http_version="HTTP/1.0"),
    _one("a host in 1.0", head(start=b"GET / HTTP/1.0"), http_version="HTTP/1.0"),
    _line(b"FOO / HTTP/1.1", "FOO", "/"),
    _line(b"get / HTTP/1.1", "get", "/"),
    _line(b"!#$%&'*+-.^_`|~ / HTTP/1.1", "!#$%&'*+-.^_`|~", "/"),
    _line(b"-GET / HTTP/1.1", "-GET", "/"),
    _line(b"OPTIONS * HTTP/1.1", "OPTIONS", "*"),
    _line(b"OPTIONS http://a HTTP/1.1", "OPTIONS", "*", authority="a"),
    _line(b"GET http://a/b?c HTTP/1.1", "GET", "/b?c", authority="a"),
    _line(b"GET HTTP://a:80 HTTP/1.1", "GET", "/", authority="a:80"),
    _line(b"GET https://[::1]:8/?x HTTP/1.1", "GET", "/?x", authority="[::1]:8"),
    _line(b"GET //evil.com/x HTTP/1.1", "GET", "//evil.com/x"),
    _line(b"GET //user@host/x HTTP/1.1", "GET", "//user@host/x"),
    _line(b"GET /%2e%2e/%00%zz HTTP/1.1", "GET", "/%2e%2e/%00%zz"),
    _line(b"GET /a//b/./../c HTTP/1.1", "GET", "/a//b/./../c"),
    _line(b'GET /"<>\\^`{|} HTTP/1.1', "GET", '/"<>\\^`{|}'),
    _line(b"GET /?a=b&c=http://d HTTP/1.1", "GET", "/?a=b&c=http://d"),
    _line(b"GET /" + b"a" * 8178 + b" HTTP/1.1", "GET", "/" + "a" * 8178),
    _line(b"CONNECT a:443 HTTP/1.1", "CONNECT", "a:443", authority="a:443"),
    _one("a host with a port", head(host=b"Host: a.b-c:8080\r\n"), authority="a.b-c:8080"),
    _one("an IPv6 host", head(host=b"Host: [2001:db8::1]:80\r\n"), authority="[2001:db8::1]:80"),
    _one("a host with an empty port", head(host=b"Host: a:\r\n"), authority="a:"),
    _one("a host without space", head(host=b"Host:h\r\n")),
    _one("a host with tabs around", head(host=b"Host:\t h \t\r\n")),
    _one("an empty value", head(b"X:", b"Y: ", b"Z:\t")),
    _one("obs-text", head(b"X: caf\xe9 \x80\xff")),
    _one("a tab in a value", head(b"X: a\tb")),
    _one("names with every token character", head(b"!#$%&'*+-.^_`|~09az: x")),
    _one("lists in several lines", head(b"Accept: a", b"Accept: b", b"Cookie: c", b"Cookie: d")),
    _one("a name with an underscore", head(b"Transfer_Encoding: chunked", b"Content_Length: 5")),
    _one("128 fields", head(*[b"X: y"] * 127)),
    _one("a line of 8 KiB", head(b"X: " + b"y" * 8189)),
    _one("a name repeated", head(*[b"X: y"] * 100)),
    _one("100-continue without a body", head(b"Expect: 100-continue")),
    _one("connection options that frame", head(b"Connection: content-length, host, close")),
    _one("upgrade that is declined", head(b"Connection: upgrade", b"Upgrade: h2c")),
    _body("a length", head(b"Content-Length: 5", start=_POST) + b"hello"),
    _body("a length with zeros", head(b"Content-Length: 0005", start=_POST) + b"hello"),
    _body("a length with space around", head(b"Content-Length:\t 5 ", start=_POST) + b"hello"),
    _body("a length of 0", head(b"Content-Length: 0", start=_POST), b""),
    _body("a length in 1.0", head(b"Content-Length: 5", start=b"POST / HTTP/1.0") + b"hello",
          http_version="HTTP/1.0"),
    _body("a length behind obs-text",
          head(b"X: \xe9", b"Content-Length: 5", start=_POST) + b"hello"),
    _body("chunks", _chunked(_HELLO)),
    _body("chunks in any case", head(b"transfer-encoding: CHUNKED", start=_POST) + _HELLO),
    _body("chunks behind obs-text", _chunked(_HELLO, b"X: \xe9")),
    _body("no chunks", _chunked(b"0\r\n\r\n"), b""),
    _body("many zeros", _chunked(b"0005\r\nhello\r\n0000\r\n\r\n")),
    _body("sixteen digits", _chunked(b"0" * 15 + b"5\r\nhello\r\n" + b"0" * 16 + b"\r\n\r\n")),
    _body("hex in both cases", _chunked(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
          b"0123456789" * 2),
    _body("extensions", _chunked(b'5;a;b=c;d="e;\\"f"\r\nhello\r\n0;g\r\n\r\n')),
    _body("line ends in the data", _chunked(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), b"\r\n\r\n"),
    _body("a chunk that looks like the end",
          _chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), b"0\r\n\r\n"),
    _body("trailers", _chunked(_HELLO[:-2] + b"X: y\r\nZ:\r\n\r\n"),
          trailers=(("X", "y"), ("Z", ""))),
    _body("32 trailers", _chunked(_HELLO[:-2] + b"X: y\r\n" * 32 + b"\r\n"),
          trailers=(("X", "y"),) * 32),
    _body("trailers that are dropped", _chunked(_HELLO[:-2] + b"Date: x\r\nX: y\r\n\r\n"),
          trailers=(("X", "y"),)),
    _body("trailers announced and absent", _chunked(_HELLO, b"Trailer: X")),
    _body("100-continue twice", _chunked(_HELLO, b"Expect: 100-continue", b"Expect: 100-continue")),
    Accepted(
        "a pipeline",
        head() + _chunked(_HELLO) + b"\r\n" + head(start=b"HEAD /x HTTP/1.1"),
        (_GET, Understood("POST", "/", body=b"hello"), Understood("HEAD", "/x")),
    ),
    Accepted(
        "bodies with any method",
        b"".join(
            head(b"Content-Length: 5", start=method + b" / HTTP/1.1") + b"GET /"
            for method in (b"GET", b"HEAD", b"DELETE", b"TRACE")
        ),
        tuple(
            Understood(method, "/", body=b"GET /") for method in ("GET", "HEAD", "DELETE", "TRACE")
        ),
    ),
    Accepted(
        "a length of 0, then another request",
        head(b"Content-Length: 0", start=_POST) + head(),
        (Understood("POST", "/"), _GET),
    ),
)  # fmt: skip
