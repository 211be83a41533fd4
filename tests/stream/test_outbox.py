"""The box of an operator: what lies there knows what it was made of."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub

from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from galeph.stream.loans import Loan, Parcel, ledger, settle
from galeph.stream.outbox import Outbox
from tests.stream.scenes import kill_served, waiting
from tests.stream.scenes import settle as let_run


@pytest.fixture
def source():
    return Stream(9)


@pytest.fixture
def made(source):
    return source.map(lambda n: n)


@pytest.fixture
def loans(made):
    """Loans of the operator, settled at the end."""
    loans = [Loan(made.branch, n) for n in range(3)]
    yield loans
    settle(loans)


class TestTaking:
    @pytest.mark.parametrize(
        "take",
        [
            lambda box: box.take(),
            lambda box: box.try_take(0),
            lambda box: box.take_async().get(),
            lambda box: box.get_nowait(),
            lambda box: next(iter(box)),
        ],
        ids=["take", "try_take", "take_async", "get_nowait", "iterator"],
    )
    def test_gives_the_message_and_settles(self, made, loans, take):
        """Whether it lies there or comes."""
        made.box._give_back(Parcel("made", loans[:1]))
        assert "made" == take(made.box)
        taker = waiting(take, made.box) if take(Full()) else None
        made.box._give_back(Parcel("more", loans[1:2]))

        assert "more" == (take(made.box) if taker is None else taker.get(timeout=1))
        assert loans[2:] == ledger(made.branch)

    def test_for_somebody_further_on_gives_the_loans(self, made, loans):
        """Nothing is settled then."""
        made.box._give_back(Parcel("made", loans[:1]))
        parcel = made.box._draw(0)

        assert ("made", loans[:1]) == (parcel.value, parcel.loans)
        assert loans == ledger(made.branch)

    def test_passes_over_what_is_void(self, made, loans):
        """It has been given back meanwhile."""
        made.box._give_back("next")
        made.box._give_back(Parcel("void", loans[:1]))
        settle(loans[:1])

        assert "next" == made.box.take()

    @pytest.mark.parametrize("operator", [lambda s: s.map(str), streams.zip], ids=["map", "zip"])
    @pytest.mark.parametrize("is_served", [False, True], ids=["lying there", "served"])
    def test_asks_for_more_when_there_was_only_that(self, source, operator, is_served):
        """Whoever takes found something there, and goes on to wait for what the source gives."""
        derived = operator(source)
        branch = next(iter(source._outlet.links))
        loan = Loan(branch, "void")
        taker = waiting(derived.take) if is_served else None
        derived.box._give_back(Parcel("void", [loan]))
        settle([loan])
        source.put(1)
        let_run()
        if taker is None:
            taker = waiting(derived.take)

        assert taker.get(timeout=1) in ("1", (1,))

    def test_a_take_that_does_not_wait_finds_what_is_behind_it(self, source, made, loans):
        """It fetches it, as if nothing had been there."""
        source.put(1)
        made.box._give_back(Parcel("void", loans[:1]))
        settle(loans[:1])

        assert 1 == made.try_take(0)

    def test_a_cancelled_take_leaves_it_to_the_next(self, made, loans):
        """As in any stream."""
        cancelled, other = made.box.take_async(), made.box.take_async()
        cancelled.on_realized(str, str)
        cancelled.cancel()
        made.box._give_back(Parcel("made", loans[:1]))

        assert "made" == other.get(timeout=1)
        assert loans[1:] == ledger(made.branch)


class Full:
    """A box that has a message of any sort, to ask a function whether it waits for one."""

    def take(self):
        return True

    def try_take(self, _):
        return False

    def take_async(self):
        return self

    def get(self):
        return True

    def get_nowait(self):
        return False

    def __iter__(self):
        return iter([True])


class TestTakingOut:
    def test_takes_everything_that_can_go_back(self, made, loans):
        """In order: from those who have not run yet, from the store, from the line."""
        box = made.box
        taker = waiting(box.take, "end")
        for parcel in (Parcel("first", loans[:1]), "plain", Parcel("second", loans[1:2])):
            box._give_back(parcel) if parcel != "plain" else box._store(parcel, 1)
        box.put_async(Parcel("third", loans[2:]))

        assert sorted(loans, key=id) == sorted(box.take_out(), key=id)
        assert ["plain"] == [box.try_take(0), *box._messages, *box._putters]
        assert "end" == taker.get(timeout=1)

    def test_of_an_empty_one(self):
        """There is nothing."""
        assert [] == Outbox().take_out()


class TestConnected:
    def test_what_comes_back_goes_to_what_is_connected(self, source, made):
        """Somebody takes from the middle of a chain, and is killed just after he was served."""
        seen = []
        done = consume(made.map(lambda n: n), seen.append)
        let_run()
        taker = waiting(made.take)
        kill_served(made, [taker])
        source.put(1)
        let_run()
        source.put(2)
        source.close()

        assert isinstance(taker.value, gevent.GreenletExit)
        assert done.get(timeout=1) is True
        assert [1, 2] == seen

    def test_what_is_connected_before_it_comes_back_gets_it_first(self, source, made):
        """The next messages are just about to be moved."""
        first, second = waiting(made.take), waiting(made.take)
        get_hub().loop.run_callback(_connect_when_served, made, sink := Stream(9), second)
        source.put_all([1, 2, 3, 4])
        let_run()

        assert 1 == first.value
        assert isinstance(second.value, gevent.GreenletExit)
        assert [2, 3, 4] == [sink.try_take(0) for _ in range(3)]

    def test_what_an_operator_has_left_behind_keeps_it(self, source):
        """It is not given back while something draws on it."""
        source.put_all([1, 2])
        batch = source.batch(9)
        source.close()
        takers = [gevent.spawn(batch.take) for _ in range(2)]
        let_run()
        gevent.killall(takers)
        assert [1, 2] == takers[0].value
        takers.clear()

        joint = streams.zip(batch.map(len))
        del batch
        let_run()
        assert [] == list(joint)
        assert [] == list(source)


def _connect_when_served(made, sink, taker):
    """Connect it just after somebody was served, and have him killed before he runs."""
    if made.box._handed:
        connect(made, sink)
        taker.throw(gevent.GreenletExit)
    else:
        get_hub().loop.run_callback(_connect_when_served, made, sink, taker)
