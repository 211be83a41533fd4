"""What counts as shown by a run, and what the recorder refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

CONFTEST = dedent(
    """
    import pathlib
    from tests.parity import recorder, tables

    tables.LAST_RUN = pathlib.Path("last_run.json").absolute()

    def pytest_configure(config):
        for kind in ("parity", "attack", "fault"):
            config.addinivalue_line("markers", kind)
        config.pluginmanager.register(recorder.Recorder(config))
    """
)

TESTS = dedent(
    """
    import pytest

    @pytest.mark.parity("DEF-01", "DEF-02")
    @pytest.mark.attack(1)
    def test_passing():
        pass

    @pytest.mark.parity("DEF-03")
    def test_failing():
        assert False

    @pytest.mark.parity("DEF-04")
    @pytest.mark.skip
    def test_skipped():
        pass

    @pytest.mark.parity("DEF-05")
    @pytest.mark.xfail
    def test_expected_to_fail():
        assert False

    @pytest.mark.parity("DEF-06")
    @pytest.mark.xfail
    def test_unexpectedly_passing():
        pass

    @pytest.fixture
    def breaking():
        yield
        assert False

    @pytest.mark.parity("DEF-07")
    def test_failing_in_teardown(breaking):
        pass

    @pytest.mark.parity("DEF-08")
    @pytest.mark.parametrize("good", [True, False])
    def test_one_of_two_failing(good):
        assert good

    @pytest.mark.fault("F3", part="server")
    class TestOnTheClass:
        @pytest.mark.attack(2, 302)
        def test_passing(self):
            pass
    """
)

FAULTS = dedent(
    """
    import pytest

    @pytest.mark.fault("F1", part="ws")
    @pytest.mark.fault("F1", "client")
    def test_two_parts():
        pass

    @pytest.mark.fault("F1", "tls")
    def test_failing_part():
        assert False

    @pytest.mark.fault("F2", "client")
    @pytest.mark.fault("F3", "server")
    def test_part_of_a_fault_that_is_shown_whole():
        pass

    @pytest.mark.fault("F2")
    def test_whole():
        pass

    @pytest.mark.fault("F3")
    def test_failing_whole():
        assert False
    """
)


@pytest.fixture
def run(tmp_path, pytestconfig):
    """Runs a test file under the recorder; returns the exit code, the output and the record."""

    def run(tests, *arguments, ini="[pytest]\ntestpaths = ."):
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "test_it.py").write_text(tests)
        (tmp_path / "pytest.ini").write_text(f"{ini}\npythonpath = {pytestconfig.rootpath}\n")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            check=False,
            timeout=60,
        )
        path = tmp_path / "last_run.json"
        record = json.loads(path.read_text()) if path.exists() else None
        return done.returncode, done.stdout + done.stderr, record

    return run


class TestRecord:
    def test_only_passing_tests_count(self, run):
        """Rows of tests that failed, were skipped, xfailed or broke in teardown do not count."""
        code, _, record = run(TESTS)

        assert 1 == code
        assert ["DEF-01", "DEF-02"] == record["parity"]
        assert ["1", "2", "302"] == record["attack"]
        assert ["F3"] == record["fault"]
        assert {"F3": ["server"]} == record["fault_parts"]
        assert record["whole_suite"]

    def test_parts_of_a_fault(self, run):
        """A fault is recorded with its parts that are shown, unless a test shows the whole."""
        _, _, record = run(FAULTS)

        assert ["F1", "F2", "F3"] == record["fault"]
        assert {"F1": ["client", "ws"], "F3": ["server"]} == record["fault_parts"]

    def test_part_of_the_suite(self, run):
        """A run that deselected tests is recorded as a part."""
        _, _, record = run(TESTS, "-k", "test_passing")

        assert ["DEF-01", "DEF-02"] == record["parity"]
        assert not record["whole_suite"]

    def test_named_file(self, run):
        """A run of named files is recorded as a part."""
        _, _, record = run(TESTS, "test_it.py")

        assert not record["whole_suite"]

    def test_collecting_writes_nothing(self, run):
        """Listing the tests does not replace the record of a run."""
        _, _, record = run(TESTS, "--collect-only")

        assert record is None


class TestRefusal:
    def test_unknown_ids(self, run):
        """Marks that name what no table knows end the run before any test, each named."""
        code, output, record = run(
            dedent(
                """
                import pytest

                @pytest.mark.parity("DEF-01", "DEF-99")
                def test_parity(): pass

                @pytest.mark.attack(303)
                def test_attack(): pass

                @pytest.mark.fault("F36")
                def test_fault(): pass

                @pytest.mark.parity()
                def test_empty(): pass

                @pytest.mark.attack
                def test_bare(): pass

                @pytest.mark.fault("F1", "tls", "ws")
                def test_two_parts(): pass

                @pytest.mark.fault("F1", parts="tls")
                def test_misspelled(): pass

                @pytest.mark.attack(1, part="tls")
                def test_part_of_an_attack(): pass
                """
            )
        )

        assert 4 == code
        assert "test_parity: there is no parity DEF-99" in output
        assert "test_attack: there is no attack 303" in output
        assert "test_fault: there is no fault F36" in output
        assert "test_empty: mark parity names nothing" in output
        assert "test_bare: mark attack names nothing" in output
        assert "test_two_parts: mark fault takes one name and one part" in output
        assert "test_misspelled: mark fault takes one name and one part" in output
        assert "test_part_of_an_attack: mark attack has no parts" in output
        assert 8 == output.count("test_it.py::")
        assert [] == record["parity"]
