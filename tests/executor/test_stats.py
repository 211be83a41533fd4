"""What is measured, and what comes of it."""

from __future__ import annotations

import pytest

from galeph import executor
from galeph.executor.stats import Meter

PERIODIC = {
    "queue_length",
    "task_arrival_rate",
    "task_completion_rate",
    "task_rejection_rate",
    "utilization",
}


def meter(metrics=executor.METRICS, sample_period=1.0):
    """A meter of one idle worker, at time zero and about to be busy."""
    made = Meter(frozenset(metrics), sample_period=sample_period, now=0.0)
    made.settle(0.0, busy=0, workers=1)
    made.resume(0.0, is_new=True)
    return made


class TestStats:
    @pytest.mark.parity("EXEC-15")
    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            (0, 1),
            (0.001, 1),
            (0.5, 500),
            (0.9, 900),
            (0.95, 950),
            (0.99, 990),
            (0.999, 999),
            (1, 1000),
        ],
    )
    def test_quantiles(self, part, expected):
        """A quantile is the measured value that so large a part does not exceed."""
        stats = executor.Stats(3, {"task_latency": range(1000, 0, -1)})

        assert expected == stats.quantile("task_latency", part)

    @pytest.mark.parity("EXEC-15")
    def test_to_dict(self):
        """As a dict: the workers, and of each metric measured its quantiles, five by default."""
        stats = executor.Stats(3, {"utilization": [0.5], "task_latency": [2.0], "queue_length": []})

        assert {
            "num_workers": 3,
            "utilization": dict.fromkeys((0.5, 0.9, 0.95, 0.99, 0.999), 0.5),
            "task_latency": dict.fromkeys((0.5, 0.9, 0.95, 0.99, 0.999), 2.0),
        } == stats.to_dict()

    @pytest.mark.parity("EXEC-15")
    def test_metrics(self):
        """There are seven metrics, and each that was measured is in the dict."""
        names = PERIODIC | {"queue_latency", "task_latency"}
        stats = executor.Stats(1, {name: [1.0] for name in names})

        assert names == executor.METRICS
        assert names | {"num_workers"} == stats.to_dict().keys()

    @pytest.mark.parity("EXEC-15")
    def test_chosen_quantiles(self):
        """Other quantiles are given instead, if asked for."""
        stats = executor.Stats(1, {"task_latency": [1.0, 2.0, 3.0, 4.0]})

        assert {"num_workers": 1, "task_latency": {0.25: 1.0, 1: 4.0}} == stats.to_dict([0.25, 1])

    def test_nothing_measured(self):
        """Where nothing was measured there is no quantile."""
        stats = executor.Stats(1, {"queue_length": []})

        assert stats.quantile("queue_length", 0.5) is None
        assert stats.quantile("utilization", 0.5) is None

    @pytest.mark.parametrize("part", [-0.1, 1.1])
    def test_no_part(self, part):
        """A part is from 0 to 1."""
        with pytest.raises(ValueError, match="part"):
            executor.Stats(1, {}).quantile("utilization", part)

    def test_no_metric(self):
        """A misspelled metric is no missing value."""
        with pytest.raises(ValueError, match="metric must be one of queue_latency, queue_length"):
            executor.Stats(1, {}).quantile("utilisation", 0.5)

    def test_repr(self):
        """The repr shows the workers and the medians."""
        stats = executor.Stats(2, {"utilization": [0.25, 0.5, 0.75]})

        assert "<Stats num_workers=2 utilization=0.5>" == repr(stats)
        assert "<Stats num_workers=2>" == repr(executor.Stats(2, {}))


class TestMeter:
    def test_latencies(self):
        """Each task gives one value of how long it waited, and one of how long it ran."""
        measured = meter()
        measured.begin(0.25)
        measured.begin(0.5)
        measured.finish(3.0)
        stats = measured.close_period(1.0, 0)

        assert (0.25, 0.5) == (
            stats.quantile("queue_latency", 0),
            stats.quantile("queue_latency", 1),
        )
        assert 3.0 == stats.quantile("task_latency", 0.5)

    def test_rates(self):
        """Rates are counts since the last sample, per second."""
        measured = meter()
        for _ in range(6):
            measured.arrive()
        measured.reject()
        measured.finish(1.0)
        measured.finish(1.0)
        measured.sample(2.0, 0)
        measured.sample(3.0, 0)
        stats = measured.close_period(3.0, 0)

        assert 3.0 == stats.quantile("task_arrival_rate", 1)
        assert 0.5 == stats.quantile("task_rejection_rate", 1)
        assert 1.0 == stats.quantile("task_completion_rate", 1)
        assert 0.0 == stats.quantile("task_arrival_rate", 0)

    def test_utilization(self):
        """Utilization is the part of the workers' time that was spent on tasks."""
        measured = meter()
        measured.settle(0.0, busy=1, workers=4)
        measured.settle(0.5, busy=3, workers=4)
        measured.sample(1.0, 0)
        stats = measured.close_period(1.0, 0)

        assert 0.5 == stats.quantile("utilization", 0.5)
        assert 4 == stats.num_workers

    def test_more_busy_than_workers(self):
        """Workers that are to go when their tasks end make it no fuller than full."""
        measured = meter()
        measured.settle(0.0, busy=4, workers=2)
        measured.sample(1.0, 0)

        assert 1.0 == measured.close_period(1.0, 0).quantile("utilization", 1)

    def test_no_workers(self):
        """Where there are no workers, none is busy."""
        measured = meter()
        measured.settle(0.0, busy=0, workers=0)
        measured.sample(1.0, 2)

        assert 0.0 == measured.close_period(1.0, 0).quantile("utilization", 1)

    def test_rests(self):
        """A sample of nothing says that there will be nothing to sample."""
        measured = meter()
        measured.settle(0.0, busy=1, workers=1)
        busy = measured.sample(1.0, 0)
        measured.settle(1.5, busy=0, workers=1)
        queued = measured.sample(2.0, 1)
        measured.finish(1.5)
        counted = measured.sample(3.0, 0)
        idle = measured.sample(4.0, 0)

        assert (True, True, True, False) == (busy, queued, counted, idle)

    @pytest.mark.parametrize("wake", ["resume", "sample", "close_period"])
    def test_makes_up_for_a_rest(self, wake):
        """A pause counts as samples of nothing, as many as would have been taken."""
        measured = meter()
        measured.settle(0.0, busy=1, workers=1)
        measured.sample(1.0, 0)
        measured.settle(1.0, busy=0, workers=1)
        measured.sample(2.0, 0)
        if wake == "resume":
            measured.resume(9.0, is_new=False)
        elif wake == "sample":
            assert not measured.sample(9.0, 0)
        stats = measured.close_period(9.0, 0)

        # One of nine samples is of a busy second.
        assert 0.0 == stats.quantile("utilization", 8 / 9)
        assert 1.0 == stats.quantile("utilization", 8 / 9 + 0.001)

    def test_a_new_period_leaves_out_what_was_settled_before(self):
        """Idle workers from before it are no part of its first sample."""
        measured = meter()
        measured.settle(0.5, busy=0, workers=1)
        measured.resume(1.0, is_new=True)
        measured.settle(1.0, busy=1, workers=1)
        measured.sample(2.0, 0)

        assert 1.0 == measured.close_period(2.0, 0).quantile("utilization", 1)

    def test_a_new_period_leaves_the_rest_out(self):
        """A pause before a control period is no part of it."""
        measured = meter()
        measured.sample(1.0, 0)
        measured.close_period(1.0, 0)
        measured.resume(1000.0, is_new=True)
        measured.settle(1000.0, busy=1, workers=1)
        measured.sample(1001.0, 0)
        stats = measured.close_period(1001.0, 0)

        assert 1.0 == stats.quantile("utilization", 0)

    def test_shorter_than_a_sample(self):
        """A control period without a sample takes one."""
        measured = meter(sample_period=60.0)
        measured.settle(0.0, busy=1, workers=1)
        stats = measured.close_period(1.0, 5)

        assert 1.0 == stats.quantile("utilization", 0.5)
        assert 5 == stats.quantile("queue_length", 0.5)

    def test_two_periods(self):
        """What is asked for in between is of this period and the one before, and of no other."""
        measured = meter()
        for latency in (1.0, 2.0, 3.0):
            measured.close_period(latency, 0)
            measured.finish(latency)
        stats = measured.stats()

        assert 2.0 == stats.quantile("task_latency", 0)
        assert 3.0 == stats.quantile("task_latency", 1)

    def test_only_what_is_asked_for(self):
        """Only the chosen metrics are collected."""
        measured = meter({"task_latency"})
        measured.begin(1.0)
        measured.finish(1.0)
        measured.arrive()
        measured.sample(1.0, 1)
        stats = measured.close_period(1.0, 0)

        assert {"num_workers", "task_latency"} == set(stats.to_dict())

    def test_names(self):
        """All that is sampled is among the metrics, besides the two latencies."""
        assert PERIODIC | {"queue_latency", "task_latency"} == executor.METRICS

    def test_many_values(self):
        """Of very many values a fair choice is kept."""
        measured = meter()
        for number in range(20_000):
            measured.finish(float(number))
        stats = measured.close_period(1.0, 0)
        kept = len(stats._values["task_latency"])

        assert 4096 == kept
        assert 8_000 < stats.quantile("task_latency", 0.5) < 12_000
