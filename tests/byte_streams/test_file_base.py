"""What a file object refuses that cannot do it."""

from __future__ import annotations

import io

import pytest

from galeph.byte_streams.file_base import FileBase
from galeph.errors import ResourceClosed


class Nothing(FileBase[bytes]):
    pass


@pytest.mark.parametrize(
    "method",
    [
        "read", "readline", "readlines", "write", "writelines", "seek", "tell", "truncate",
        "fileno", "__next__",
    ],
)  # fmt: skip
def test_what_it_cannot_do(method):
    """It is refused the way files refuse it."""
    with pytest.raises(io.UnsupportedOperation):
        getattr(Nothing(), method)()


def test_what_it_says_of_itself():
    """It can do nothing."""
    file = Nothing()

    assert not any([file.readable(), file.writable(), file.seekable(), file.isatty()])


def test_is_its_own_context():
    """Which closes it."""
    with Nothing() as file:
        file.flush()
        assert not file.closed

    assert file.closed
    with pytest.raises(ResourceClosed):
        file.flush()
