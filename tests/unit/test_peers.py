"""What the benchmark of other simulators reads, and its table."""

import pytest

from tests.benchmarks import peers
from tests.reference import rows

# Reports of SCALE-Sim 2.0.2 and 3.0.0 and what pip wrote of AccelForge, shortened.
REPORT_2 = """LayerID, Total Cycles, Stall Cycles, Overall Util %, Mapping Efficiency %,
0, 164735, 0, 34.26, 100.0,
"""
REPORT_3 = """LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %,
0, 168702, 164735, 0, 34.26,
1, 13948, 10207, 0, 70.54,
"""
PIP = """ERROR: Ignored the following versions that require a different python version: 1.0.1
ERROR: Could not find a version that satisfies the requirement hwcomponents (from versions: none)
ERROR: No matching distribution found for hwcomponents
"""


def test_the_topology_is_resnet18():
    layers = peers.layers_of(peers.TOPOLOGY)
    assert len(layers) == 21
    assert len({tuple(layer.sizes.values()) for layer in layers}) == 12
    parameters = sum(
        each.sizes["filt_h"] * each.sizes["filt_w"] * each.sizes["channels"]
        * each.sizes["num_filters"]
        for each in layers
    )  # fmt: skip
    # torchvision's resnet18 has 11,689,512 parameters, 9,600 of batch norms and 1,000 biases
    assert parameters == 11_689_512 - 9_600 - 1_000
    assert {*peers.SHORTEST} <= {layer.name for layer in layers}


def test_a_topology_reads_back():
    assert peers.topology_of(peers.layers_of(peers.TOPOLOGY)) == peers.TOPOLOGY


def test_outputs_round_up_as_in_runs_of_scalesim():
    """A convolution's M, where the stride does not divide, from cycles of one fold of `ws`."""
    for row in rows("array/scalesim.csv"):
        if row["layer_kind"] != "conv" or row["dataflow"] != "ws":
            continue
        sizes = dict(zip(peers.COLUMNS, (int(row[name]) for name in peers.COLUMNS), strict=True))
        height, width = int(row["array_rows"]), int(row["array_cols"])
        depth = sizes["filt_h"] * sizes["filt_w"] * sizes["channels"]
        folds = -(-depth // height) * -(-sizes["num_filters"] // width)
        outputs = peers.output_size(
            sizes["ifmap_h"], sizes["filt_h"], sizes["stride"]
        ) * peers.output_size(sizes["ifmap_w"], sizes["filt_w"], sizes["stride"])
        assert int(row["compute_cycles"]) == folds * (outputs + 2 * height + width - 2) - 1


@pytest.mark.parametrize(("report", "cycles"), [(REPORT_2, 164735), (REPORT_3, 164735 + 10207)])
def test_cycles_of_both_versions_are_read(report, cycles):
    assert peers.cycles_in(report) == cycles


def test_a_tool_that_does_not_install_says_why():
    reason = "does not install: PyPI has no release of hwcomponents for Python 3.11"
    assert peers.reason_in(PIP, "3.11") == reason
    assert (
        peers.reason_in("ERROR: no space left\n\n", "3.11")
        == "does not install: ERROR: no space left"
    )
    assert peers.last_line("") == ""


def test_the_table_has_a_row_for_each_tool():
    text = peers.table(
        [
            peers.Row("A", "1.0", "cycles", 21, 12.345, 0.5, 2519794, 11.43, 1.0),
            peers.Row("B", "2.0", "mappings", remark="does not install: no wheel"),
        ]
    )
    lines = text.splitlines()
    assert lines[2] == "| A 1.0 | cycles | 21 | 12.35 | 0.50 | 2,519,794 | 11.4 | 1 |"
    assert lines[3].startswith("| B 2.0 | mappings | does not install: no wheel |")
    assert {line.count("|") for line in lines} == {9}
