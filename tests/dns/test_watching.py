"""What a file says, read again when it has changed."""

from __future__ import annotations

from galeph.dns.watching import WatchedFile


def test_changes(tmp_path):
    """It is read when it comes, changes and goes; not when nothing has happened."""
    path = tmp_path / "hosts"
    read = []
    watched = WatchedFile(path, lambda text: (read.append(text), text)[1])
    assert "" == watched.value
    assert not watched.has_changed()

    path.write_text("one")
    assert watched.has_changed()
    assert "one" == watched.value
    assert not watched.has_changed()

    replacement = tmp_path / "new"
    replacement.write_text("two")
    replacement.rename(path)
    assert watched.has_changed()
    assert "two" == watched.value

    path.unlink()
    assert watched.has_changed()
    assert ["", "one", "two", ""] == read


def test_no_text(tmp_path):
    """What is no UTF-8, or no file, does no harm."""
    path = tmp_path / "hosts"
    path.write_bytes(b"\xff\xfe")

    assert "\ufffd\ufffd" == WatchedFile(path, str).value
    assert "" == WatchedFile(tmp_path, str).value
