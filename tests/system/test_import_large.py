"""Large files are imported in little memory."""

import json
import subprocess
import sys

import pytest

from tests.system.import_samples import FILES, read


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
def test_a_large_file_fits_in_memory(name, tmp_path):
    path = tmp_path / "large.json"
    copies = enlarge(name, path, 200_000_000)
    program = (
        "import resource, sys; from pathlib import Path;"
        "from simulator.trace.importers import IMPORTERS;"
        f"trace = IMPORTERS['{FILES[name][0]}'](Path(sys.argv[1]));"
        "print(sum(s.count for s in trace.segments), len(trace.steps),"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    steps, distinct, peak_kib = map(int, done.stdout.split())
    assert steps == 2 * copies
    assert distinct == 1
    assert peak_kib * 1024 < 2e9


def enlarge(name, path, size):
    """Write the steps of a sample again and again, until the file is so large; return how often."""
    content = read(name)
    key = "nodes" if "nodes" in content else "traceEvents"
    entries = [entry for entry in content.pop(key) if "ts" in entry or "ctrl_deps" in entry]
    times = [entry["ts"] for entry in entries if "ts" in entry]
    span = 2 * (max(times) - min(times)) if times else 0
    copies = 0
    with path.open("w") as file:
        file.write(json.dumps(content)[:-1] + f', "{key}": [')
        while file.tell() < size:
            moved = (shifted(entry, copies, span) for entry in entries)
            file.write(",\n" * bool(copies) + ",\n".join(map(json.dumps, moved)))
            copies += 1
        file.write("]}")
    return copies


def shifted(entry, copy, span):
    """Return an event later in time, or a node with later ids."""
    if "ts" in entry:
        return entry | {"ts": entry["ts"] + copy * span}
    if entry["id"] <= 2:  # process and thread
        return entry
    parent = entry["ctrl_deps"]
    later = parent if parent <= 2 else parent + 100_000 * copy
    return entry | {"id": entry["id"] + 100_000 * copy, "ctrl_deps": later}
