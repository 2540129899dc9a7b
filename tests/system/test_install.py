"""Does the package install, and run, where there is neither this repository nor torch?"""

import importlib.util
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.command_line import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
VERBS = (
    "list",
    "run edge-16x16 lenet_digits --baseline cpu-only --samples 4 -o out",
    "report out",
    "explain out",
    "plot out",
    "timeline out",
    "sweep edge-16x16 mlp_digits --set accelerator.rows=8,16 -o sizes",
    "scenario split-inference",
    "show edge-16x16",
)


def output(*words, **options):
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    output(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def interpreter(version):
    """Return the path of a Python of that version, which may be another than this one."""
    beside = Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python")  # as pyenv has them
    for name in (f"python{version}", *beside):
        try:
            return output(name, "-c", "import sys; print(sys.executable)").strip()
        except (OSError, AssertionError):
            continue
    return pytest.skip(f"no Python {version} here")


@pytest.mark.slow
def test_the_wheel_has_every_file_of_its_packages(wheel):
    packages = ("trainsoc", "simulator", "workloads", "hwconfigs")
    files = output("git", "ls-files", *packages, cwd=ROOT).splitlines()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {*files}


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_every_verb_runs_from_an_empty_environment_without_torch(version, wheel, tmp_path):
    environment, folder = tmp_path / "environment", tmp_path / "elsewhere"
    folder.mkdir()
    output(interpreter(version), "-m", "venv", environment)
    python = environment / "bin" / "python"
    output(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    assert "torch" not in output(python, "-m", "pip", "list")
    for verb in VERBS:
        output(environment / "bin" / "trainsoc", *verb.split(), cwd=folder)
    assert (folder / "report.html").exists() or (folder / "out" / "report.html").exists()


@pytest.fixture
def cpu_index():
    spec = importlib.util.spec_from_file_location("cpu_index", ROOT / ".ci" / "cpu_index.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_index_of_cpu_builds_is_taken_only_where_it_answers(cpu_index):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        assert cpu_index.answers(url, 20)
        server.shutdown()
    assert not cpu_index.answers(url, 20)  # refused at once
