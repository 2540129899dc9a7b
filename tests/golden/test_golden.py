"""Totals of the bundled runs: any change of the model shows here as a diff to review."""

import json
from pathlib import Path

import pytest

from simulator import simulate

GOLDEN = Path(__file__).with_name("golden.json")
RUNS = [
    (hardware, trace)
    for hardware in ("edge-16x16", "gemmini-16x16", "cpu-only")
    for trace in ("mlp_digits", "lenet_digits", "resnet20_digits")
]
KEYS = ("latency_ps", "energy_aj", "macs", "macs_issued", "dram_read_bytes", "dram_write_bytes")


def found(hardware: str, trace: str) -> dict[str, object]:
    result = simulate(hardware, trace)
    phases = {row["phase"]: row["latency_ps"] for row in result.phases}
    return {key: result.total[key] for key in KEYS} | {"phases_ps": phases}


@pytest.mark.parametrize(("hardware", "trace"), RUNS)
def test_golden(hardware, trace, request):
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    name = f"{hardware} {trace}"
    if request.config.getoption("--regenerate"):
        golden[name] = found(hardware, trace)
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    assert golden[name] == found(hardware, trace)
