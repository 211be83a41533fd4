"""Which executor is the current one."""

from __future__ import annotations

import pytest

from galeph import deferred, executor


class Direct:
    """The least an executor can be."""

    def submit(self, fn, *args):
        return deferred.future(fn, *args)


class TestCurrent:
    @pytest.mark.parity("EXEC-01")
    def test_none_at_first(self):
        """Outside of any block and task there is none."""
        assert executor.current() is None

    @pytest.mark.parity("EXEC-01")
    def test_inside_the_block(self):
        """The block sets it, and restores what there was, also when it raises."""
        outer, inner = Direct(), Direct()
        with executor.with_executor(outer) as given:
            with pytest.raises(KeyError), executor.with_executor(inner):
                inside = executor.current()
                raise KeyError
            restored = executor.current()

        assert outer is given
        assert inner is inside
        assert outer is restored
        assert executor.current() is None

    def test_none_inside_the_block(self):
        """A block may also say that there is none."""
        with executor.with_executor(Direct()), executor.with_executor(None):
            assert executor.current() is None

    @pytest.mark.parity("EXEC-01")
    def test_belongs_to_the_context(self):
        """It goes along with futures and stages started in the block, and touches no others."""
        direct = Direct()
        pending = deferred.deferred()
        outside = deferred.future(executor.current)
        with executor.with_executor(direct):
            inside = deferred.future(executor.current)
            stage = pending.chain(lambda _: executor.current())
        pending.success(None)

        assert outside.get() is None
        assert direct is inside.get()
        assert direct is stage.get()

    @pytest.mark.parity("EXEC-01")
    def test_new_deferreds(self):
        """A deferred made for the current executor has its functions run there, another has not."""
        where = []

        class Noting(Direct):
            def submit(self, fn, *args):
                where.append("executor")
                return super().submit(fn, *args)

        with executor.with_executor(Noting()):
            made = [deferred.deferred(executor=executor.current()), deferred.deferred()]
        made.append(deferred.deferred(executor=executor.current()))
        hung = [each.chain(str) for each in made]
        for source in (deferred.success(number) for number in range(3)):
            made[source.get()](source)

        assert ["0", "1", "2"] == [each.get() for each in hung]
        assert ["executor"] == where

    @pytest.mark.parity("EXEC-01")
    def test_waiting_for_oneself(self):
        """Deferreds go to no executor by themselves: a task may wait for what it hangs on one."""

        def task():
            pending = deferred.deferred()
            result = pending.chain(lambda value: value + 1)
            pending.success(1)
            return executor.current(), result.get()

        with executor.fixed_executor(1) as made:
            assert (made, 2) == made.submit(task).result(timeout=5)

    @pytest.mark.parametrize("no_executor", [1, "pool", print])
    def test_no_executor(self, no_executor):
        """What cannot be submitted to is refused."""
        with pytest.raises(TypeError, match="submit"), executor.with_executor(no_executor):
            pass
