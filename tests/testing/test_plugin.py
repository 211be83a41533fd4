"""The pytest plugin: quiet until asked, then strict.

The scenarios run as a test file of their own in a pytest of its own; each test here looks at how
one of them ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

AUTOLOAD = ("-q",)

REPORTER = dedent(
    """
    import json, sys, pathlib

    def pytest_runtest_logreport(report):
        with pathlib.Path("outcomes.jsonl").open("a") as out:
            name = report.nodeid.partition("::")[2]
            print(json.dumps([name, report.when, report.outcome, report.longreprtext]), file=out)

    def pytest_sessionstart():
        pathlib.Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
    """
)

SCENARIOS = dedent(
    """
    import gevent, pytest
    from gevent import socket
    from galeph import deferred, http, stream

    kept = []

    def test_clean():
        gevent.spawn(gevent.sleep, 0.01).join()

    def test_default_pool():
        with http.start_server(lambda request: {"body": "x"}) as server:
            assert "x" == http.get(f"http://127.0.0.1:{server.port}/").result().text()

    def test_response_in_use():
        server = http.start_server(lambda request: {"body": stream.Stream()})
        kept.append(http.get(f"http://127.0.0.1:{server.port}/").result())
        server.close(0).result()

    def test_greenlet():
        kept.append(gevent.spawn(gevent.sleep, 100))

    def test_socket():
        kept.append(socket.socketpair())

    def test_watcher():
        timer = gevent.get_hub().loop.timer(100)
        timer.start(print)
        kept.append(timer)

    def test_hub_error():
        gevent.spawn(int, "no number").join()

    def test_expected_hub_error(galeph_hub_errors):
        gevent.spawn(int, "no number").join()
        assert ["ValueError"] == [error.kind.__name__ for error in galeph_hub_errors]
        assert "no number" in galeph_hub_errors[0].message
        galeph_hub_errors.clear()

    def test_unseen_error():
        deferred.deferred().error(ValueError("nobody looks"))

    def test_unseen_error_in_a_cycle():
        unseen = deferred.deferred()
        try:
            raise ValueError("nobody looks")
        except ValueError as error:
            kept_alive = [error]
            kept_alive.append(kept_alive)
            unseen.error(error)

    def test_unseen_error_already_logged():
        deferred.deferred().error(ValueError("nobody looks"))
        deferred.report_dropped()

    def test_seen_error():
        seen = deferred.deferred()
        seen.error(ValueError("somebody looks"))
        with pytest.raises(ValueError):
            seen.get()

    def test_expected_unseen_error(galeph_unseen_errors):
        deferred.deferred().error(ValueError("nobody looks"))
        deferred.report_dropped()
        deferred.deferred().error(KeyError("nobody looks"))
        first, second = galeph_unseen_errors()
        assert first.startswith("ValueError") and second.startswith("KeyError")
        assert [] == galeph_unseen_errors()

    def test_parked_runner():
        ran = []
        late = deferred.deferred()
        late.chain(ran.append)
        late.success(1)
        gevent.sleep(0.01)
        assert [1] == ran

    def test_killed_greenlet():
        greenlet = gevent.spawn(gevent.sleep, 100)
        gevent.sleep(0)
        greenlet.kill()

    def test_failing_and_leaking():
        kept.append(gevent.spawn(gevent.sleep, 100))
        assert False

    @pytest.mark.galeph_unchecked("the greenlet is the module's, on purpose")
    def test_left_out():
        kept.append(gevent.spawn(gevent.sleep, 100))

    @pytest.mark.galeph_unchecked("nobody is to look")
    def test_left_out_with_unseen_error():
        deferred.deferred().error(ValueError("nobody looks"))

    def test_counted_unseen_errors():
        with deferred.dropped_errors() as dropped:
            for _ in range(3):
                deferred.deferred().error(ValueError("nobody looks"))
        assert 3 == len(dropped)

    @pytest.mark.galeph_unchecked
    def test_left_out_without_reason():
        pass

    @pytest.fixture(scope="module")
    def server():
        greenlet = gevent.spawn(gevent.sleep, 100)
        yield greenlet
        greenlet.kill()

    def test_wider_fixture(server):
        assert not server.dead

    @pytest.fixture
    def closing():
        near, far = socket.socketpair()
        yield near
        near.close()
        far.close()

    def test_own_fixture(closing):
        closing.sendall(b"x")
    """
)


def run_pytest(folder: Path, tests: str, *arguments: str, ini: str = "") -> dict[str, list[str]]:
    """Run a test file with the plugin alone; each test's phases that did not pass."""
    (folder / "conftest.py").write_text(REPORTER)
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}")
    arguments = arguments or ("-p", "galeph.testing.plugin")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if arguments == AUTOLOAD else "1"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    outcomes: dict[str, list[str]] = {}
    for line in (folder / "outcomes.jsonl").read_text().splitlines():
        name, when, outcome, text = json.loads(line)
        if outcome != "passed":
            outcomes.setdefault(name, []).append(f"{when} {outcome}: {text}")
        else:
            outcomes.setdefault(name, [])
    return outcomes


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    return run_pytest(tmp_path_factory.mktemp("checked"), SCENARIOS, ini="galeph_checks = true\n")


class TestWithoutTheOption:
    def test_nothing_is_checked(self, tmp_path):
        """Without the ini option no test fails for what it leaves, and gevent is not imported."""
        outcomes = run_pytest(
            tmp_path,
            """
            import os, sys
            def test_leaves_a_pipe():
                os.pipe()
                assert not any(name.partition(".")[0] == "gevent" for name in sys.modules)
            """.replace("\n            ", "\n"),
        )

        assert {"test_leaves_a_pipe": []} == outcomes

    def test_loading_imports_no_gevent(self, tmp_path):
        """A pytest that found the plugin installed has imported neither gevent nor greenlet."""
        run_pytest(tmp_path, "def test_nothing(): pass", *AUTOLOAD)

        loaded = json.loads((tmp_path / "loaded.json").read_text())

        assert "galeph.testing.plugin" in loaded
        assert not {"gevent", "greenlet"} & set(loaded)


class TestChecks:
    @pytest.mark.parametrize(
        "name",
        [
            "test_clean",
            "test_default_pool",
            "test_killed_greenlet",
            "test_seen_error",
            "test_parked_runner",
            "test_wider_fixture",
            "test_own_fixture",
        ],
    )
    def test_clean_tests_pass(self, checked, name):
        """A test that leaves nothing of its own passes; what a wider fixture holds is not its."""
        assert [] == checked[name]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("test_greenlet", "greenlet left"),
            ("test_socket", "descriptor left open"),
            ("test_response_in_use", "descriptor left open"),
            ("test_watcher", "watcher left active"),
            ("test_hub_error", "ValueError: invalid literal"),
            pytest.param(
                "test_unseen_error",
                "ValueError: nobody looks",
                marks=pytest.mark.parity("DEF-63"),
            ),
            ("test_unseen_error_in_a_cycle", "ValueError: nobody looks"),
            ("test_unseen_error_already_logged", "ValueError: nobody looks"),
        ],
    )
    def test_leaving_fails(self, checked, name, text):
        """A test that leaves something fails in its teardown, which names what it left."""
        (problem,) = checked[name]

        assert problem.startswith("teardown failed")
        assert text in problem

    @pytest.mark.parametrize(
        "name",
        [
            "test_expected_hub_error",
            "test_expected_unseen_error",
            pytest.param("test_counted_unseen_errors", marks=pytest.mark.parity("DEF-63")),
        ],
    )
    def test_expected_errors(self, checked, name):
        """A test about an exception in the hub, or one nobody saw, takes it and passes."""
        assert [] == checked[name]

    def test_failed_test_is_not_checked(self, checked):
        """A test that failed by itself is reported once, without what its traceback holds."""
        (problem,) = checked["test_failing_and_leaking"]

        assert problem.startswith("call failed")

    @pytest.mark.parametrize(
        "name",
        [
            "test_left_out",
            pytest.param("test_left_out_with_unseen_error", marks=pytest.mark.parity("DEF-63")),
        ],
    )
    def test_left_out(self, checked, name):
        """The mark with a reason leaves a test out."""
        assert [] == checked[name]

    def test_left_out_needs_a_reason(self, checked):
        """The mark without a reason is an error."""
        (problem,) = checked["test_left_out_without_reason"]

        assert "needs its reason" in problem


class TestPatchAll:
    def test_patches_before_conftest(self, tmp_path):
        """With -p galeph.testing.patch_all the process is patched when the first file loads."""
        outcomes = run_pytest(
            tmp_path,
            """
            import socket, threading, gevent.socket
            from gevent import monkey
            def test_patched():
                assert socket.socket is gevent.socket.socket
                assert monkey.is_module_patched("threading")
            """.replace("\n            ", "\n"),
            "-p",
            "galeph.testing.patch_all",
            ini="filterwarnings = error\n",
        )

        assert {"test_patched": []} == outcomes
