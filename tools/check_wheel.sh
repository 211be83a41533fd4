#!/usr/bin/env bash
# Builds the wheel, installs it into a venv that has nothing else, and uses it from outside the
# checkout: every public module imports without the tests' packages, and the command starts.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv/bin/python -m build --wheel --no-isolation --outdir "$folder" . >"$folder/log" 2>&1 ||
    { cat "$folder/log" >&2 && exit 1; }
.venv/bin/python -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet "$folder"/galeph-*.whl
cd "$folder"
venv/bin/python -W error - <<'PYTHON'
import importlib.resources, pathlib, zipfile
import galeph

for name in galeph.__all__:
    getattr(galeph, name)
assert (importlib.resources.files("galeph") / "py.typed").is_file(), "no py.typed"
(wheel,) = pathlib.Path().glob("*.whl")
tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
assert tops == {"galeph", f"galeph-{galeph.__version__}.dist-info"}, tops
PYTHON
venv/bin/galeph --help >/dev/null
venv/bin/python -m galeph --version
