"""`splice`: one duplex stream of a sink and a source."""

from __future__ import annotations

import pytest

from galeph.stream import Stream, connect, splice
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


@pytest.mark.parity("STR-24")
class TestSplice:
    def test_puts_go_to_the_sink_and_takes_come_from_the_source(self):
        """In every way of putting and taking."""
        there, back = Stream(9), Stream(9)
        both = splice(there, back)
        back.put_all("abcd")

        assert both.put(1) is True
        assert both.try_put(2, 0) is True
        assert both.put_async(3).get() is True
        assert both.put_all([4]) is True
        assert [1, 2, 3, 4] == [there.take() for _ in range(4)]
        assert "a" == both.take()
        assert "b" == both.try_take(0)
        assert "c" == both.take_async().get()
        assert "d" == both.get_nowait()

    def test_two_of_them_are_the_ends_of_a_pipe(self):
        """What one puts the other takes."""
        one, other = Stream(), Stream()
        near, far = splice(one, other), splice(other, one)
        putter = waiting(near.put, "ping")

        assert "ping" == far.take()
        assert putter.get(timeout=1) is True

    def test_closing_closes_both_halves(self):
        """Closed follows the sink, drained the source."""
        there, back = Stream(), Stream(1)
        both = splice(there, back)
        calls = []
        both.on_closed(lambda: calls.append("closed"))
        both.on_drained(lambda: calls.append("drained"))
        back.put("left")
        both.close()
        settle()

        assert (True, True) == (there.closed, back.closed)
        assert (True, False) == (both.closed, both.drained)
        assert ["left"] == list(both)
        settle()
        assert both.drained
        assert ["closed", "drained"] == calls

    def test_failing_fails_the_sink(self):
        """The far side sees the error; the source is closed."""
        there, back = Stream(), Stream()
        splice(there, back).fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            there.take()
        assert back.drained

    def test_failing_one_of_a_stream_with_itself_fails_that(self):
        """The error is not overtaken by the close of the source."""
        stream = Stream()
        splice(stream, stream).fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            stream.take()

    def test_one_of_splices_is_one_of_their_halves(self):
        """Each half is closed once, the sources first, and described by its one side."""
        calls = []

        class Half(Stream):
            def close(self):
                calls.append(self._name)
                super().close()

        a, b, c, d = (Half(description=name) for name in "abcd")
        both = splice(splice(a, b), splice(c, sink_and_source := splice(c, d)))
        facts = both.description()
        assert ("a", "d") == (facts["sink"]["description"], facts["source"]["description"])
        assert (False, True) == (facts["sink"]["source"], facts["sink"]["sink"])
        assert (True, False) == (facts["source"]["source"], facts["source"]["sink"])
        both.close()

        assert list("dcba") == calls
        assert sink_and_source.closed

    def test_the_source_s_failure_is_its_own(self):
        """Its error is the splice's."""
        back = Stream()
        both = splice(Stream(), back)
        error = ValueError("cut")
        back.fail(error)

        assert error is both.error
        with pytest.raises(ValueError, match="cut"):
            both.take()

    def test_links_are_those_of_the_halves(self):
        """Connected, mapped, echoed: messages move, and the counts are right."""
        there, back = Stream(9), Stream(9)
        both = splice(there, back)
        echoing = connect(both, both)
        back.put_all([1, 2])
        settle()

        assert 2 == both.link_count
        assert [1, 2] == [there.take(), there.take()]
        back.close()
        assert echoing.get(timeout=1) is True
        assert (0, True) == (both.link_count, both.closed)

    def test_operators_on_it_are_on_the_source(self):
        """A message put into the source comes out of the operator."""
        back = Wire(1)
        mapped = splice(Stream(), back).map(str)

        assert "1" == mapped.take()

    @pytest.mark.parity("TOP-18")
    def test_describes_both_halves(self):
        """Type splice, with the description of each half."""
        there, back = Stream(3), Stream(5)

        facts = splice(there, back).description()
        assert ("splice", 3, 5) == (
            facts["type"],
            facts["sink"]["buffer_capacity"],
            facts["source"]["buffer_capacity"],
        )

    def test_refuses_what_are_no_halves(self):
        """A TypeError names the type."""
        with pytest.raises(TypeError, match="int"):
            splice(5, Stream())
        with pytest.raises(TypeError, match="int"):
            splice(Stream(), 5)
