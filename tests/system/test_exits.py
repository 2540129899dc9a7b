"""Every way out of the command line is one sentence and an exit code."""

import errno
import json
import os
import subprocess
import sys

import pytest
import typer

from simulator.cli import exits, streams
from simulator.cli.exits import exit_code
from simulator.errors import Infeasible, InputError, Stopped
from simulator.machine.step import run_step
from tests.builders import small_trace


class PanicException(BaseException):
    """As pyo3 raises it where Rust code of polars panics."""


def interrupted_import():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise ImportError("a library that tells of a failed import") from None


def failing(error):
    """Return an application whose only verb fails."""
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def verb(_as_json: bool = typer.Option(False, "--json")):
        if isinstance(error, BaseException):
            raise error
        error()

    return app


NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "/full/a.trace")
ENDINGS = {
    "bad input": (InputError("no trace at x"), 2, "no trace at x"),
    "infeasible": (Infeasible("dram", 2, 1, "too large"), 2, "too large"),
    "full disk": (NO_SPACE, 2, "/full/a.trace: no space left"),
    "name": (OSError(errno.ENAMETOOLONG, "x", "n" * 9000), 2, "the name is too long"),
    "memory": (MemoryError(), 2, "memory"),
    "stopped": (Stopped("stopped at 3 new points"), 130, "stopped at 3 new points"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "trainsoc: interrupted\n"),
    "Ctrl-C in an import": (interrupted_import, 130, "trainsoc: interrupted\n"),
    "fault": (KeyError("x"), 70, "a fault of trainsoc"),
    "recursion": (RecursionError("maximum"), 70, "a fault of trainsoc"),
    "panic": (PanicException("index out of bounds"), 70, "a fault of trainsoc"),
    "panic of a megabyte": (PanicException("\x1b" * 10**6), 70, "TRAINSOC_TRACEBACK=1"),
}


@pytest.mark.parametrize("case", ENDINGS)
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_every_ending_is_one_sentence(case, option, monkeypatch, capsys):
    error, code, told = ENDINGS[case]
    monkeypatch.setattr("simulator.cli.verbs.app_of", lambda *_: failing(error))
    assert exit_code(option) == code
    out, err = capsys.readouterr()
    assert told in err
    assert err.startswith("trainsoc: ")
    assert err.count("\n") == 1
    assert len(err) <= 311
    assert "Traceback" not in err
    assert out == (json.dumps({"error": err[10:-1]}) + "\n" if option else "")


def test_a_fault_shows_its_traceback_where_that_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr("simulator.cli.verbs.app_of", lambda *_: failing(faulty))
    monkeypatch.setenv(exits.TRACEBACK, "1")
    assert exit_code([]) == 70
    err = capsys.readouterr().err
    assert "in faulty" in err
    assert "tests/system/test_exits.py, line" in err.splitlines()[-1]


def faulty():
    raise KeyError("x")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "nowhere", "lenet_digits"], "no hardware 'nowhere'"),
        (["run", "--jsn"], "No such option: --jsn"),
        (["show", "lenet_digits", "--step", "9" * 5000], "--step"),
        (["sweep", "edge-16x16", "lenet_digits", "--seed", "-1", "-o", "s"], "--seed"),
        (["sweep", "edge-16x16", "lenet_digits", "--workers", "100000", "-o", "s"], "--workers"),
        (["run", "edge-16x16", "x" * 5000], "the name is too long"),
        (["run", "edge-16x16", "lenet_digits", "--method", "x" * 5000], "no method"),
        (["run", "edge-16x16", "lenet_digits", "--set", "batch=0"], "known: name"),
        (["recost", ".", "--energy", "\x1b[31m"], "result.json"),
        (["show", "\udcff\x1b"], "\\udcff\\x1b"),
    ],
)
def test_requests_of_all_kinds_are_refused_alike(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code([*arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert err.count("\n") == 1
    assert len(err) <= 311
    assert json.loads(out).keys() == {"error"}
    assert not list(tmp_path.iterdir())


def test_a_search_whose_conditions_no_point_meets_is_refused(tmp_path, capsys):
    pytest.importorskip("optuna")
    axis = "accelerator.rows=accelerator.cols=8..64:x2"
    search = ["--search", "5", "--require", "area <= 0.0001 mm2", "-o", str(tmp_path / "s")]
    assert exit_code(["sweep", "edge-16x16", "mlp_digits", "--set", axis, *search]) == 2
    assert "no point of the space meets 'area <= 0.0001 mm2'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_a_verb_there_is_help(capsys):
    assert exit_code([]) == 2
    assert "Usage: trainsoc" in capsys.readouterr().err


# Standard output


def written_to(descriptor, monkeypatch, capsys):
    """Return exit code and stderr of a verb that prints to a file descriptor."""
    monkeypatch.setattr(sys, "stdout", streams.standard_output(descriptor))
    code = exit_code(["show", "lenet_digits", "--json"])
    os.close(descriptor)
    return code, capsys.readouterr().err


def test_a_full_standard_output_is_told(monkeypatch, capsys):
    code, err = written_to(os.open("/dev/full", os.O_WRONLY), monkeypatch, capsys)
    assert (code, err) == (
        2, "trainsoc: cannot write to standard output: no space left on the disk\n"
    )  # fmt: skip


def test_a_reader_that_has_left_ends_it_in_silence(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    assert written_to(writer, monkeypatch, capsys) == (0, "")


def test_a_closed_standard_output_is_told(monkeypatch, capsys):
    code, err = written_to(os.open(os.devnull, os.O_RDONLY), monkeypatch, capsys)
    assert (code, err) == (2, "trainsoc: cannot write to standard output: it is closed\n")


def test_without_streams_no_file_takes_their_place(tmp_path):
    command = (
        f"{sys.executable} -m simulator.cli export chakra lenet_digits -o a.et >&- 2>&-; echo $?"
    )
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.stdout == "2\n"
    assert b"a.et" not in (tmp_path / "a.et").read_bytes()


# Ctrl-C

INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = ["show", "lenet_digits"]
from simulator.cli import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "polars"])
def test_ctrl_c_while_the_program_starts_is_one_word(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "TRAINSOC_CACHE": str(tmp_path)},  # or it needs no polars
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "trainsoc: interrupted\n")


# Bounds


def test_more_tiles_than_the_limit_are_counted_and_not_simulated(tmp_path, capsys):
    trace = str(small_trace(tmp_path))
    command = ["run", "edge-16x16", trace, "--fidelity", "tile", "--json"]
    assert exit_code([*command, "--max-tiles", "1"]) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    tiles = told.rpartition("--max-tiles ")[2]
    assert told.startswith(f"--fidelity tile would simulate {int(tiles):,} tiles in one step")
    assert exit_code([*command, "--max-tiles", tiles]) == 0


def test_an_empty_step_has_no_tiles():
    assert run_step((), "in_order", "tile", most_tiles=0).duration_ps == 0


def test_names_of_layers_are_shown_and_not_obeyed(tmp_path, capsys):
    topology = tmp_path / "net.csv"
    topology.write_text("Layer,M,N,K,\n[/red] :cat:,1,2,3,\n\x1b[31mb,4,5,6,\n")
    assert exit_code(["import", "scalesim", str(topology), "-o", str(tmp_path / "t")]) == 0
    assert exit_code(["run", "edge-16x16", str(tmp_path / "t"), "--by", "layer"]) == 0
    out = capsys.readouterr().out
    assert "[/red] :cat:" in out
    assert "\\x1b[31mb" in out
    assert "\x1b" not in out
