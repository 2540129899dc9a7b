"""Inputs of every kind that the product reads, each with something changed in it.

A family writes its input into the current folder and returns the commands that read it.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from simulator.trace import rows

BIG = 10**30
JUNK = (
    None, True, False, -1, 0, 1, 7, 2**31, 2**62, 2**63 - 1, -(2**63), 2.5, 1e300, float("nan"),
    float("inf"), "", "x", "8", "a" * 400, "\x1b[31mred\n", "../..", [], [None], ["a"], [1], [[]],
    [-1, 2], {}, {"a": 1}, BIG, -BIG,
)  # fmt: skip
TEXTS = (
    "~", "-1", "0", "nan", ".inf", "1e400", "x", "'", "[", "{a: b}", "[1, 2]", "- 1", "true",
    "1 GHz", "-1 GHz", "0 GHz", "1 KiB", "1e30 GB/s", "200 %", "9" * 50, "&a [*a]",
    "!!python/object:x {}",
    "\t", '"\\x1b[31m"', "..", "/dev/null", "a" * 400, "2001-01-01", "0x10", "1:2", "!!int x", "é",
)  # fmt: skip


class Input(NamedTuple):
    """Command lines, the file that a refusal names, and whether the last answer is JSON."""

    commands: list[list[str]]
    names: str
    numbers: bool = False


Family = Callable[[random.Random, Path], Input]


def changed(value: Any, chance: random.Random, junk: tuple[Any, ...] = JUNK) -> Any:
    """Return a copy with junk in place of one value somewhere inside, or of the whole."""
    if not value or not isinstance(value, dict | list) or chance.random() < 0.03:
        return chance.choice(junk)
    copied: Any = value.copy()
    place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    if isinstance(value, dict) and chance.random() < 0.05:
        del copied[place]
    elif isinstance(value, list) and chance.random() < 0.05:
        copied.append(copied[place])
    else:
        copied[place] = changed(value[place], chance, junk)
    return copied


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with a few bytes changed, or with a part cut out."""
    copied = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(copied) or 1)
        copied[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    if chance.random() < 0.2:
        start = chance.randrange(len(copied) or 1)
        del copied[start : start + chance.randrange(200)]
    return bytes(copied)


# Traces


def _reading(chance: random.Random, path: str) -> Input:
    commands = [
        ["show", path, "--json"],
        ["run", "edge-16x16", path, "--json"],
        ["run", "edge-16x16", path, "--json", "--method", "int8"],
        ["run", "edge-16x16", path, "--json", "--method", "half-dense"],
        ["run", "cpu-only", path, "--json"],
        ["run", "gemmini-16x16", path, "--json"],
        ["export", "chakra", path, "-o", "et"],
    ]
    command = chance.choice(commands)
    return Input([command], path, "--json" in command)


def trace_cells(chance: random.Random, samples: Path) -> Input:
    """Change values in the rows of a trace; those that the columns' types do not take stay out."""
    source = samples / "a.trace"
    content = pl.read_parquet(source).to_dicts()
    for _ in range(chance.randint(1, 2)):
        content = changed(content, chance)
    types = rows.schema(measured=True)
    metadata = {"trainsoc.trace": pl.read_parquet_metadata(source)["trainsoc.trace"]}
    try:
        frame = pl.DataFrame(content, schema=types, orient="row", strict=False)
    except Exception:  # no table at all
        frame = pl.read_parquet(source).drop(chance.choice(list(types)))
    frame.write_parquet("t.trace", metadata=metadata)
    return _reading(chance, "t.trace")


def trace_header(chance: random.Random, samples: Path) -> Input:
    """Change values in the header of a trace, or bytes of it."""
    source = samples / "a.trace"
    text = pl.read_parquet_metadata(source)["trainsoc.trace"]
    if chance.random() < 0.8:
        text = json.dumps(changed(json.loads(text), chance))
    else:
        text = changed_bytes(text.encode(), chance).decode(errors="replace")
    pl.read_parquet(source).write_parquet("t.trace", metadata={"trainsoc.trace": text or " "})
    return _reading(chance, "t.trace")


def trace_bytes(chance: random.Random, samples: Path) -> Input:
    """Change bytes of a trace."""
    data = (samples / "a.trace").read_bytes()
    Path("t.trace").write_bytes(changed_bytes(data, chance))
    return _reading(chance, "t.trace")


# Folders


def run_folder(chance: random.Random, samples: Path) -> Input:
    """Change a file in the folder of a run."""
    name = chance.choice(["result.json", "step.json", "records.parquet"])
    folder = _copied(samples / "run", "run")
    path = folder / name
    if name == "records.parquet" and chance.random() < 0.8:
        _change_records(path, chance)
    elif name.endswith(".json") and chance.random() < 0.8:
        path.write_text(json.dumps(changed(json.loads(path.read_text()), chance)))
    elif chance.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(changed_bytes(path.read_bytes(), chance))
    readers = {
        "result.json": [["diff", "run", "run", "--json"], ["diff", "run", "run"]],
        "step.json": [["timeline", "run"], ["recost", "run", "--energy", "e.yaml", "-o", "r"]],
        "records.parquet": [["recost", "run", "--energy", "e.yaml", "--json"]],
    }
    Path("e.yaml").write_bytes((samples / "run" / "energy.yaml").read_bytes())
    command = chance.choice(readers[name])
    if chance.random() < 0.05:
        command = ["plot", "run"]
    return Input([command], "run", "--json" in command)


def _change_records(path: Path, chance: random.Random) -> None:
    frame, metadata = pl.read_parquet(path), pl.read_parquet_metadata(path)
    header = json.loads(metadata["trainsoc.records"])
    if chance.random() < 0.3:
        header = changed(header, chance)
    else:
        content = changed(frame.to_dicts(), chance)
        try:
            frame = pl.DataFrame(content, schema=frame.schema, orient="row", strict=False)
        except Exception:  # no table at all
            frame = frame.drop(chance.choice(frame.columns))
    frame.write_parquet(path, metadata={"trainsoc.records": json.dumps(header)})


def sweep_folder(chance: random.Random, samples: Path) -> Input:
    """Change a file in the folder of a sweep."""
    folder = _copied(samples / "sweep", "sweep")
    (part,) = (folder / "points").iterdir()
    kind = chance.choice(["lines", "part", "bytes", "table"])
    again = ["sweep", "-o", "sweep", "--workers", "1", "--json"]
    if kind in ("lines", "part"):
        content = changed(pl.read_parquet(part).to_dicts(), chance)
        _write_part(part, content, kind)
    elif kind == "bytes":
        part.write_bytes(changed_bytes(part.read_bytes(), chance))
    else:
        path = folder / "points.parquet"
        _write_part(path, changed(pl.read_parquet(path).to_dicts(), chance), "part")
        if chance.random() < 0.3:
            path.write_bytes(changed_bytes(path.read_bytes(), chance))
        return Input([["plot", "sweep"]], "sweep")
    return Input([again], "sweep", numbers=True)


def folder_texts(chance: random.Random, samples: Path) -> Input:
    """Change a YAML file in the folder of a run or of a sweep."""
    if chance.random() < 0.5:
        path = _copied(samples / "run", "run") / "energy.yaml"
        command = ["recost", "run", "--energy", str(samples / "run" / "energy.yaml"), "--json"]
    else:
        path = _copied(samples / "sweep", "sweep") / "sweep.yaml"
        command = ["sweep", "-o", "sweep", "--workers", "1", "--json"]
    path.write_bytes(_changed_text(path.read_text(), chance))
    return Input([command], "", numbers=True)


def _write_part(part: Path, content: Any, kind: str) -> None:
    listed = content if isinstance(content, list) else [content]
    if kind == "lines":
        part.unlink()
        part.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))
        return
    try:
        pl.DataFrame(listed, infer_schema_length=None, strict=False).write_parquet(part)
    except Exception:  # no table at all
        part.write_bytes(b"")


def _copied(source: Path, name: str) -> Path:
    """Copy a folder of few files; what an input before has left there is gone."""
    for path in sorted(Path(name).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for path in source.rglob("*"):
        if path.is_file():
            target = Path(name) / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return Path(name)


# Texts


def _changed_text(text: str, chance: random.Random) -> bytes:
    """Change a value of a YAML file, a line of it, or bytes."""
    lines = text.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    roll = chance.random()
    if roll < 0.6 and ":" in lines[place]:
        key = lines[place].split(":", maxsplit=1)[0]
        lines[place] = f"{key}: {chance.choice(TEXTS)}\n"
    elif roll < 0.7:
        del lines[place]
    elif roll < 0.8:
        lines.insert(place, chance.choice(lines))
    else:
        return changed_bytes(text.encode(), chance)
    return "".join(lines).encode()


def hardware(chance: random.Random, samples: Path) -> Input:
    """Change a description of a SoC."""
    text = (samples / "hardware.yaml").read_text()
    Path("hw.yaml").write_bytes(_changed_text(text, chance))
    commands = [["show", "hw.yaml"], ["run", "hw.yaml", str(samples / "a.trace"), "--json"]]
    command = chance.choice(commands)
    return Input([command], "hw.yaml", "--json" in command)


def method(chance: random.Random, samples: Path) -> Input:
    """Change a training method."""
    text = (samples / "method.yaml").read_text()
    Path("m.yaml").write_bytes(_changed_text(text, chance))
    run = ["run", "edge-16x16", str(samples / "a.trace"), "--method", "m.yaml", "--json"]
    return Input([run], "m.yaml", numbers=True)


def sweep_file(chance: random.Random, samples: Path) -> Input:
    """Change a description of a sweep."""
    text = (samples / "sweep" / "sweep.yaml").read_text()
    Path("s.yaml").write_bytes(_changed_text(text, chance))
    _copied(samples / "run", "out").joinpath("result.json").unlink()
    return Input([["sweep", "s.yaml", "-o", "out", "--workers", "1", "--json"]], "", numbers=True)


# Files of other tools


def imported(chance: random.Random, samples: Path) -> Input:
    """Change a file of another tool, import it, and read the trace."""
    form, name = chance.choice(
        [("kineto", "k.json"), ("execution-trace", "e.json"), ("scalesim", "t.csv"),
         ("scalesim", "g.csv")]
    )  # fmt: skip
    data = (samples / name).read_bytes()
    if name.endswith("json") and chance.random() < 0.7:
        data = json.dumps(changed(json.loads(data), chance)).encode()
    elif name.endswith("csv") and chance.random() < 0.7:
        cells = data.decode().replace("\n", ",\n,").split(",")
        cells[chance.randrange(len(cells))] = chance.choice([*TEXTS, str(BIG), "1000000007"])
        data = ",".join(cells).replace(",\n,", "\n").encode()
    else:
        data = changed_bytes(data, chance)
    Path(name).write_bytes(data)
    first = ["import", chance.choice([form, "auto"]), name, "-o", "i.trace"]
    then = ["run", "edge-16x16", "i.trace", "--json"]
    return Input([first, then], name.partition(".")[0], numbers=True)


# Command lines

_WORDS = (
    "run", "show", "diff", "recost", "plot", "timeline", "sweep", "import", "export", "probe",
    "array", "memory", "offload", "edge-16x16", "cpu-only", "lenet", "mlp_digits", "int8", "run/",
    "..", "/", "-o", "o", "--json", "--set", "=", "--fidelity", "accelerator.rows=8", "x=y", "tile",
    "accelerator.rows=-1", "cpu.clock=x", "--by", "layer", "--step", "0", "-5", "--method", "-m",
    "--baseline", "--energy", "--search", "--minimize", "--best", "--where", "kineto", "auto",
    "nan", "--help", "1", "99999999999999999999", "--workers", "--version",
    "--set=dram.capacity=1 B", "\x00", "", "\u202e", "a" * 400,
)  # fmt: skip


def command_line(chance: random.Random, samples: Path) -> Input:
    """Put words together that no one would."""
    verb = chance.choice(["run", "show", "diff", "recost", "timeline", "import", "export", "sweep"])
    words = [verb, *chance.sample(_WORDS, chance.randint(0, 5))]
    if chance.random() < 0.5:
        words = ["run", "edge-16x16", str(samples / "a.trace"), *words[1:]]
    return Input([words], "")


FAMILIES: dict[str, Family] = {
    each.__name__: each
    for each in (
        trace_cells, trace_header, trace_bytes, run_folder, sweep_folder, folder_texts, hardware,
        method, sweep_file, imported, command_line,
    )
}  # fmt: skip
