"""The ``galeph`` command as a function: what it takes and what it returns."""

from __future__ import annotations

import pytest

import galeph
from galeph.cli import main


def test_version(capsys):
    """``--version`` prints the version and ends with 0."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert 0 == ended.value.code
    assert f"galeph {galeph.__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["serve"], ["serve", "x", "--port", "y"]])
def test_wrong_arguments(arguments, capsys):
    """What cannot be understood ends with 2 and says how it is used."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert 2 == ended.value.code
    assert "usage: galeph" in capsys.readouterr().err


def test_what_the_user_can_mend(capsys):
    """A handler that is not there is returned as 2, with one line that names it."""
    assert 2 == main(["serve", "galeph:nothing_there"])
    assert "galeph serve: module 'galeph' has no 'nothing_there'\n" == capsys.readouterr().err
