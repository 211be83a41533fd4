"""The repository around the package: it tells the truth, and nothing in it is left lying about."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.architecture import ROOT

SKIPPING = {
    "pytest.skip",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "unittest.skip",
}


def tracked_files():
    """The files git tracks, relative to the root of the checkout."""
    # The checkout may belong to somebody else than who runs the tests.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return [Path(name) for name in listing.stdout.split("\0") if name]


def text_of(path):
    """A file's text; nothing for pictures and for what is deleted but not yet committed."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(text_of("pyproject.toml"))


class TestTheTree:
    def test_no_machine_paths(self):
        """No file names a path of the machine it was written on."""
        patterns = [re.escape(f"{folder}/") for folder in (ROOT, Path.home())]
        patterns.append(r"(?<!\w)/(?:root|work|home/\w+|Users/\w+)/")
        wrong = re.compile("|".join(patterns))
        found = [
            f"{path}:{number}: {line.strip()}"
            for path in tracked_files()
            for number, line in enumerate(text_of(path).splitlines(), 1)
            if wrong.search(line)
        ]

        assert not found, "\n".join(found)

    def test_no_skipped_tests(self):
        """No test is skipped: what cannot run here is installed, or is not written."""
        found = [
            f"{path}:{node.lineno}"
            for path in tracked_files()
            if path.suffix == ".py" and path.parts[0] == "tests"
            for node in ast.walk(ast.parse(text_of(path)))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in SKIPPING
        ]

        assert [] == found

    def test_scripts_can_be_run(self):
        """Every file that begins with #! has its executable bit."""
        scripts = [path for path in tracked_files() if text_of(path).startswith("#!")]

        assert Path(".ci/run") in scripts
        assert [] == [path for path in scripts if not (ROOT / path).stat().st_mode & 0o111]


class TestDocuments:
    def test_links_lead_somewhere(self):
        """Every relative link of a document leads to a file of the repository."""
        documents = [path for path in tracked_files() if path.suffix == ".md"]
        links = [
            (path, target)
            for path in documents
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(path))
            if "://" not in target
        ]

        assert [] == [link for link in links if not (ROOT / link[0].parent / link[1]).exists()]

    def test_floors_are_explained(self, project):
        """docs/support.md gives every dependency with the floor pyproject.toml has."""
        text = text_of("docs/support.md")
        for requirement in project["project"]["dependencies"]:
            name, floor = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()

            assert re.search(rf"^\| {name}\b[^|]*\| {re.escape(floor)} \|", text, re.MULTILINE)

    def test_extras_are_explained(self, project):
        """docs/support.md names every extra there is."""
        for extra in project["project"]["optional-dependencies"]:
            assert f"galeph[{extra}]" in text_of("docs/support.md")

    def test_marks_are_explained(self, project):
        """CONTRIBUTING.md says what each mark of the suite means."""
        marks = project["tool"]["pytest"]["ini_options"]["markers"]
        names = [re.match(r"\w+", mark)[0] for mark in marks]

        assert [] == [name for name in names if f"| `{name}" not in text_of("CONTRIBUTING.md")]

    def test_targets_are_explained(self):
        """CONTRIBUTING.md names every target of the Makefile that is for people."""
        phony = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)[1].split()
        shown = re.findall(r"^\| `make ([\w-]+)`", text_of("CONTRIBUTING.md"), re.MULTILINE)

        assert set(phony) - {"help", "clean"} == set(shown)

    def test_changelog_has_a_place_for_changes(self):
        """The changelog has its Unreleased section, first."""
        sections = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.MULTILINE)

        assert "[Unreleased]" == sections[0]

    def test_names_of_the_aleph_table_exist(self):
        """docs/from-aleph.md names what is there; what is only decided is marked, while it is."""
        table = text_of("docs/from-aleph.md").partition("## Decided otherwise")[0]
        for row in re.findall(r"^\| .*$", table, re.MULTILINE):
            names = re.findall(r"`@?((?:deferred|stream|byte_streams|tcp|udp|tls|http)\.\w+)", row)

            if names:
                assert all(map(exists, names)) != row.startswith("| ° "), row


def exists(name):
    """Whether a public module has a name: ``http.get``."""
    home, _, attribute = name.partition(".")
    try:
        return hasattr(importlib.import_module(f"galeph.{home}"), attribute)
    except ModuleNotFoundError:
        return False
