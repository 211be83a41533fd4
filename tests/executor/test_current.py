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

    @pytest.mark.parametrize("no_executor", [1, "pool", print])
    def test_no_executor(self, no_executor):
        """What cannot be submitted to is refused."""
        with pytest.raises(TypeError, match="submit"), executor.with_executor(no_executor):
            pass
