"""How large an executor or a pool should be."""

from __future__ import annotations

import pytest

from galeph import executor
from galeph.executor import (
    FixedController,
    PoolUtilizationController,
    Stats,
    UtilizationController,
)


def busy(num_workers, utilization):
    """Stats of so many workers, in nine tenths of the time as busy as this."""
    return Stats(num_workers, {"utilization": [utilization] * 9 + [1.0]})


class TestFixed:
    @pytest.mark.parametrize(("num_workers", "expected"), [(1, True), (3, True), (4, False)])
    def test_grows_up_to_its_size(self, num_workers, expected):
        """It may grow until it has its size."""
        assert expected == FixedController(4).can_grow(num_workers)

    @pytest.mark.parametrize(("num_workers", "expected"), [(1, 3), (4, 0), (6, -2)])
    def test_corrects(self, num_workers, expected):
        """Whatever the utilization, it wants its size."""
        assert expected == FixedController(4).adjustment(busy(num_workers, 0.1))

    def test_no_size(self):
        """A size of nothing is none."""
        with pytest.raises(ValueError, match="num_workers"):
            FixedController(0)


class TestUtilization:
    @pytest.mark.parametrize(
        ("num_workers", "utilization", "expected"),
        [
            (10, 0.8, 0),
            (10, 1.0, 3),
            (10, 0.81, 1),
            (10, 0.72, -1),
            (10, 0.4, -5),
            (10, 0.1, -5),
            (10, 0.0, -5),
            (9, 0.0, -5),
            (1, 1.0, 1),
            (1, 0.8, 0),
            (16, 1.0, 4),
            (19, 1.0, 1),
            (25, 1.0, 0),
        ],
    )
    def test_toward_the_target(self, num_workers, utilization, expected):
        """It wants what would have had the target's utilization, but at most half less."""
        controller = UtilizationController(0.8, 20)

        assert expected == controller.adjustment(busy(num_workers, utilization))

    def test_without_a_maximum(self):
        """Without a maximum it always may grow."""
        controller = UtilizationController(0.5)

        assert controller.can_grow(10**6)
        assert 10**6 == controller.adjustment(busy(10**6, 1.0))

    @pytest.mark.parametrize(("num_workers", "expected"), [(19, True), (20, False), (21, False)])
    def test_maximum(self, num_workers, expected):
        """With a maximum it may grow up to that."""
        assert expected == UtilizationController(0.8, 20).can_grow(num_workers)

    def test_nothing_measured(self):
        """Without measurements there was nothing to do."""
        assert -2 == UtilizationController(0.8, 20).adjustment(Stats(4, {}))

    @pytest.mark.parametrize("target", [0, -0.1, 1.01, float("nan")])
    def test_no_target(self, target):
        """A target is a part."""
        with pytest.raises(ValueError, match="target"):
            UtilizationController(target)

    def test_no_maximum(self):
        """A maximum of nothing is none."""
        with pytest.raises(ValueError, match="max_workers"):
            UtilizationController(0.5, 0)


class TestPoolUtilization:
    @pytest.mark.parity("EXEC-27")
    @pytest.mark.parametrize(
        ("num_objects", "total", "expected"),
        [(0, 0, True), (7, 99, True), (8, 20, False), (3, 100, False), (8, 100, False)],
    )
    def test_refuses_growth_at_either_maximum(self, num_objects, total, expected):
        """It may grow as long as neither the key nor the pool has its maximum."""
        controller = PoolUtilizationController(0.9, max_per_key=8, max_total=100)

        assert expected == controller.can_grow("key", num_objects, total)

    @pytest.mark.parity("EXEC-27")
    def test_each_key_toward_the_target(self):
        """Each key is to have what would have had the target's utilization."""
        controller = PoolUtilizationController(0.5, max_per_key=8, max_total=100)
        stats = {
            "busy": busy(4, 1.0),
            "right": busy(4, 0.5),
            "quiet": busy(4, 0.1),
            "idle": busy(4, 0),
        }

        assert {"busy": 4, "right": 0, "quiet": -3, "idle": -4} == controller.adjustments(stats)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("target", (0, 1, 1)), ("max_per_key", (0.5, 0, 1)), ("max_total", (0.5, 1, 0))],
    )
    def test_wrong_arguments(self, name, arguments):
        """A wrong argument is named."""
        with pytest.raises(ValueError, match=name):
            PoolUtilizationController(*arguments)


class TestAsProtocols:
    def test_any_object_with_the_methods(self):
        """A controller is whatever has the two methods."""

        class Cautious:
            def can_grow(self, num_workers):
                return num_workers < 2

            def adjustment(self, stats):
                return 0

        with executor.InstrumentedExecutor(controller=Cautious(), initial_count=1) as made:
            assert 3 == made.submit(lambda: 3).get()
