"""Disguises of Transfer-Encoding: each is refused or means nothing, none frames a body.

A front-end that understands a disguise and a back-end that does not (or the other way round)
disagree about where the request ends; what follows is smuggled. The disguises are generated: every
byte in every place of the field where some implementation has tolerated one, and every way of
breaking, doubling, quoting and coding it.
"""

import itertools

import pytest

from galeph.protocol.events import Request
from tests.protocol.h1.feeding import byte_by_byte, read_requests

CODING = b"Transfer-Encoding: chunked"

# Where a byte is put, and the bytes that make a good field of it there.
PLACES = {
    "before the name": (b"%cTransfer-Encoding: chunked", b""),
    "in the name": (b"Trans%cfer-Encoding: chunked", b""),
    "for the hyphen": (b"Transfer%cEncoding: chunked", b"-"),
    "behind the hyphen": (b"Transfer-%cEncoding: chunked", b""),
    "before the colon": (b"Transfer-Encoding%c: chunked", b""),
    "for the colon": (b"Transfer-Encoding%c chunked", b":"),
    "behind the colon": (b"Transfer-Encoding:%cchunked", b" \t"),
    "behind the space": (b"Transfer-Encoding: %cchunked", b" \t"),
    "in the value": (b"Transfer-Encoding: chun%cked", b""),
    "behind the value": (b"Transfer-Encoding: chunked%c", b" \t"),
    "around the value": (b"Transfer-Encoding: %cchunked%c", b" \t"),
    "before the line end": (b"Transfer-Encoding: chunked %c", b" \t"),
    "behind another field": (b"X: y%cTransfer-Encoding: chunked", b""),
    "behind a CR": (b"X: y\r%cTransfer-Encoding: chunked", b"\n"),
    "before an LF": (b"X: y%c\nTransfer-Encoding: chunked", b"\r"),
    "before a name, behind a line": (b"X: y\r\n%cTransfer-Encoding: chunked", b""),
    "before another field": (b"Transfer-Encoding: chunked%cX: y", b""),
    "before the LF of another": (b"Transfer-Encoding: chunked%c\nX: y", b"\r"),
    "as a member before": (b"Transfer-Encoding: %c, chunked", b""),
    "as a member behind": (b"Transfer-Encoding: chunked, %c", b""),
    "as a separator": (b"Transfer-Encoding: x%cchunked", b""),
}


def at(place):
    pattern, good = PLACES[place]
    count = pattern.count(b"%c")
    return [pattern % ((byte,) * count) for byte in range(256) if byte not in good]


OTHERS = [
    # broken over lines
    b"Transfer-\r\nEncoding: chunked",
    b"Transfer-Encoding\r\n: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding:\r\n\tchunked",
    b"Transfer-Encoding: \r\n chunked\r\n ",
    b"Transfer-Encoding: chun\r\n ked",
    b"Transfer-Encoding: x\r\n , chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X:\r\nTransfer-Encoding\r\n:chunked",
    b"\r\nTransfer-Encoding: chunked",
    b"\nTransfer-Encoding: chunked",
    # another name
    *[
        name + b": chunked"
        for name in (
            *(
                b"Transfer_Encoding",
                b"Transfer Encoding",
                b"TransferEncoding",
                b"Transfer--Encoding",
            ),
            *(b"Transfer-Encodings", b"Transfer-Encodin", b"X-Transfer-Encoding", b"TE"),
            *(
                b"Transfer-Encoding-",
                b"Transfer.Encoding",
                b"Content-Encoding",
                b"\xd4ransfer-Encoding",
            ),
            *(b"Transfer%2dEncoding", b"Transfer\xe2\x80\x90Encoding", b"Transfer\xc2\xadEncoding"),
            *(b"'Transfer-Encoding'", b'"Transfer-Encoding"', b"Trans\xc4\xb1fer-Encoding", b""),
        )
    ],
    # another value
    *[
        b"Transfer-Encoding: " + value
        for value in (
            *(b"", b"x", b"xchunked", b"chunkedx", b"chunkedchunked", b"chunk", b"chunked chunked"),
            *(
                b"chunked;",
                b"chunked;q=0.5",
                b"chunked; x",
                b'"chunked"',
                b"'chunked'",
                b"(chunked)",
            ),
            *(b"chunked(x)", b"chunked=", b"=chunked", b"chunked:", b":chunked", b"x:chunked"),
            *(b"%63hunked", b"chunke\\d", b"\\chunked", b"identity", b"identity, chunked", b"gzip"),
            *(b"gzip, chunked", b"chunked, gzip", b"chunked, identity", b"chunked, x", b"cow"),
            *(b"cow, chunked", b",chunked", b"chunked,", b",", b",,chunked", b"chunked,,chunked"),
            *(b"chunked, chunked", b"chunked,chunked", b"chunked , chunked", b"deflate, chunked"),
            *(b"identity;chunked", b"identity chunked", b"chunked/1", b"<chunked>", b"{chunked}"),
            *(
                b"\xef\xbb\xbfchunked",
                b"\xe2\x80\x8bchunked",
                b"chun\xc2\xadked",
                b"c\xe2\x84\xaahunked",
            ),
            *(b"=?utf-8?q?chunked?=", b"chunKed ed", b"0", b"true", b"*"),
        )
    ],
    # twice, with the good one first, last or between
    *[
        b"\r\n".join(lines)
        for lines in itertools.chain(
            itertools.permutations([CODING, b"Transfer-Encoding: identity"]),
            itertools.permutations([CODING, b"transfer-encoding:"]),
            itertools.permutations([CODING, b"Transfer-Encoding: cow"]),
            itertools.permutations([CODING, b"TRANSFER-ENCODING: chunked, "]),
            itertools.permutations([CODING, b"Transfer-Encoding : identity"]),
            itertools.permutations([CODING, b" Transfer-Encoding: identity"]),
            [[CODING, CODING], [CODING, b"X: y", CODING], [CODING] * 3],
        )
    ],
]

# What stands beside a disguise: nothing, a length, or a byte that sends the head the slow way.
COMPANIONS = [
    b"",
    b"Content-Length: 5\r\n",
    b"X-Slow: \xe9\r\n",
    b"X: \xe9\r\nContent-Length: 5\r\n",
]

_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def requests_with(disguise):
    """The disguise in every company, before and behind the other fields."""
    for companion in COMPANIONS:
        for block in (disguise + b"\r\n" + companion, companion + disguise + b"\r\n"):
            yield b"POST / HTTP/1.1\r\nHost: h\r\n" + block + b"\r\n" + _CHUNKS


def is_chunked(head):
    return isinstance(head, Request) and not head.end_stream and head.content_length is None


def check(disguise):
    for data in requests_with(disguise):
        reading = read_requests([data])
        assert reading.status in {None, 400, 501}, (reading.ending, data)
        assert not any(map(is_chunked, reading.heads)), data
    last = read_requests(byte_by_byte(data))
    assert reading.settled() == last.settled(), data


class TestDisguises:
    @pytest.mark.attack(57)
    @pytest.mark.parametrize("place", PLACES)
    def test_by_a_byte_frame_nothing(self, place):
        """Every byte but those that make a good field, in one place."""
        for disguise in at(place):
            check(disguise)

    @pytest.mark.attack(57)
    def test_by_other_means_frame_nothing(self):
        """Broken lines, other names, other values, doubled fields."""
        for disguise in OTHERS:
            check(disguise)

    @pytest.mark.attack(57)
    def test_are_more_than_600(self):
        """None of them twice."""
        every = {disguise for place in PLACES for disguise in at(place)} | set(OTHERS)

        assert CODING not in every
        assert len(every) > 5000

    def test_are_not_refused_for_another_reason(self):
        """What they disguise is understood where it is not disguised."""
        for line in (CODING, CODING.lower(), b"Transfer-Encoding:chunked", CODING + b"\t "):
            data = b"POST / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n" + _CHUNKS
            reading = read_requests([data])
            assert [True] == [is_chunked(head) for head in reading.heads]
            assert [b"hello"] == reading.bodies
