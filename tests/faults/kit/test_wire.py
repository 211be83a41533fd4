"""The faulty wire: every fault happens at its byte, however the bytes are cut on the way."""

from __future__ import annotations

import pytest

from tests.faults.kit.wire import End, Faults, Pause, pass_on

DATA = bytes(range(10))


def steps(faults, *sizes):
    """What becomes of DATA that comes in pieces of these sizes."""
    begin = 0
    result = list(pass_on(faults, 0, b""))
    for size in sizes:
        if any(isinstance(step, End) for step in result):
            break
        result += pass_on(faults, begin, DATA[begin : begin + size])
        begin += size
    return result


def delivered(result):
    return b"".join(step for step in result if isinstance(step, bytes))


SIZES = [(10,), (1,) * 10, (4, 6), (3, 3, 4)]


@pytest.mark.parametrize("sizes", SIZES)
class TestFaults:
    def test_none(self, sizes):
        """A good wire passes all of it."""
        assert DATA == delivered(steps(Faults(), *sizes))

    @pytest.mark.parametrize("how", ["rst", "fin", "half"])
    def test_cut(self, sizes, how):
        """Up to the cut everything passes, after it nothing."""
        for place in range(11):
            result = steps(Faults(cut=(place, how)), *sizes)

            assert DATA[:place] == delivered(result)
            assert [End(how)] == [step for step in result if isinstance(step, End)]
            assert End(how) == result[-1]

    def test_stall(self, sizes):
        """There is one pause, right before its byte."""
        for place in range(10):
            result = steps(Faults(stall=(place, 5)), *sizes)
            at = result.index(Pause(5))

            assert DATA[:place] == delivered(result[:at])
            assert DATA[place:] == delivered(result[at:])
            assert 1 == result.count(Pause(5))

    def test_dribble(self, sizes):
        """After so many bytes there is a pause, and after as many again."""
        result = steps(Faults(dribble=(3, 1)), *sizes)
        pauses = [at for at, step in enumerate(result) if step == Pause(1)]

        assert [3, 6, 9] == [len(delivered(result[:at])) for at in pauses]
        assert DATA == delivered(result)

    def test_corrupt(self, sizes):
        """One byte is another, and only that one."""
        for place in range(10):
            got = delivered(steps(Faults(corrupt=place), *sizes))

            assert [place] == [at for at in range(10) if got[at] != DATA[at]]

    def test_split(self, sizes):
        """The first pieces end where they are told to."""
        result = steps(Faults(split=(2, 5)), *sizes)
        pauses = [at for at, step in enumerate(result) if isinstance(step, Pause)]

        assert [2, 7] == [len(delivered(result[:at])) for at in pauses]
        assert DATA == delivered(result)


def test_faults_together():
    """A stall, a changed byte and a cut happen in their order."""
    result = steps(Faults(cut=(6, "rst"), stall=(2, 1), corrupt=4), 10)

    assert [b"\0\1", Pause(1), b"\2\3\xfb\5", End("rst")] == result
