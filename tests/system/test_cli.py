"""The command line as people meet it: answers, files, and one sentence for whatever is wrong."""

import csv
import json
import subprocess
import sys

import pytest

from simulator.hardware.shipped import CONFIGS
from tests.builders import small_trace
from tests.command_line import process, trainsoc


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    return small_trace(tmp_path_factory.mktemp("traces"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, trace_file):
    out = tmp_path_factory.mktemp("runs") / "out"
    done = trainsoc("run", "edge-16x16", trace_file, "--baseline", "cpu-only", "-o", out)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def test_a_process_answers_as_the_process_of_the_tests(trace_file, tmp_path):
    """Other tests call the command line in their own process: it must be the same one."""
    for command in (
        ("run", "edge-16x16", trace_file, "--ops", "--json"),
        ("run", "edge-16x16", tmp_path / "nothing.trace", "--json"),
    ):
        assert process(*command, cwd=tmp_path) == trainsoc(*command, cwd=tmp_path)


def test_run_prints_phases_and_a_verdict_that_names_both_precisions(finished):
    text, _ = finished
    assert "forward" in text
    assert "traced in fp32, GEMMs executed in int8" in text
    assert "against cpu-only" in text


def test_run_writes_a_complete_folder(finished):
    _, out = finished
    for folder in (out, out / "baseline"):
        names = {path.name for path in folder.iterdir() if path.is_file()}
        assert names == {
            "result.json", "hardware.json", "step.json", "records.parquet", "energy.yaml",
            "samples.parquet", "machine.yaml", "step.trace",
        }  # fmt: skip


def test_result_has_the_published_keys(finished):
    _, out = finished
    result = json.loads((out / "result.json").read_text())
    assert {
        "schema", "provenance", "hardware", "trace", "method", "fidelity", "boundary",
        "epochs_simulated",
        "steps_simulated", "total", "phases", "layers", "epochs", "memory",
    } <= set(result)  # fmt: skip
    keys = {
        "latency_s", "latency_ps", "energy_j", "energy_aj", "energy_low_j", "energy_high_j",
        "energy_by_component_j", "energy_by_boundary_j", "macs", "macs_issued",
        "dram_read_bytes", "dram_write_bytes",
        "bandwidth_bytes_per_s",
        "bandwidth_by_master_bytes_per_s", "row_hit_rate", "contention_s", "array_use",
        "array_utilization", "cpu_busy_s", "accelerator_busy_s", "average_power_w", "peak_power_w",
        "edp_js",
    }  # fmt: skip
    assert keys == set(result["total"])
    assert all(keys < set(row) for row in result["phases"])
    assert set(result["area_mm2"]) == {"array", "scratchpad", "llc", "total"}
    assert {"component", "mm2", "low_mm2", "high_mm2", "source", "confidence"} == set(
        result["area"][0]
    )
    assert set(result["memory"]) == {
        "parameters", "gradients", "optimizer_state", "activations", "copies", "peak_bytes",
    }  # fmt: skip


def test_json_is_one_object_and_nothing_else(trace_file):
    done = trainsoc("run", "edge-16x16", trace_file, "--json", "--ops")
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert {
        "index", "step", "count", "phase", "layer", "op", "unit", "start_s", "end_s",
        "attributed_s", "batch", "m", "n", "k", "compute_cycles", "stall_cycles", "total_cycles",
        "bound", "macs", "dram_read_bytes", "dram_write_bytes", "energy_j",
    } <= set(document["ops"][0])  # fmt: skip


def test_same_file_whatever_the_folder(trace_file, tmp_path):
    for name in ("a", "b"):
        trainsoc("run", "edge-16x16", trace_file, "-o", tmp_path / name)
    left, right = ((tmp_path / name / "result.json").read_bytes() for name in ("a", "b"))
    assert left == right


def test_the_result_names_the_settings_that_made_it(trace_file):
    done = trainsoc("run", "edge-16x16", trace_file, "--set", "cpu.clock=1 GHz", "--json")
    command = json.loads(done.stdout)["provenance"]["command"]
    assert command == "trainsoc run edge-16x16 built --set 'cpu.clock=1 GHz'"


def test_diff_sets_two_runs_side_by_side(finished):
    _, out = finished
    done = trainsoc("diff", out, out / "baseline")
    assert "edge-16x16" in done.stdout
    assert "cpu-only" in done.stdout
    assert (
        json.loads(trainsoc("diff", out, out, "--json").stdout)["phases"]["total"]["speedup"] == 1
    )


def test_plot_and_timeline_write_beside_the_result(finished):
    _, out = finished
    figures = trainsoc("plot", out)
    assert figures.returncode == 0, figures.stderr
    assert {path.name for path in (out / "figures").iterdir()} >= {
        "energy_per_epoch.png", "energy_per_phase.png", "latency_per_phase.png",
        "dram_bandwidth.png", "occupancy.png", "roofline.png", "profile.png", "layers.png",
    }  # fmt: skip
    assert trainsoc("timeline", out).returncode == 0
    assert json.loads((out / "timeline.json").read_text())["traceEvents"]


@pytest.mark.parametrize("by", ["phase", "layer", "op", "stage"])
def test_tables(trace_file, by):
    done = trainsoc("run", "edge-16x16", trace_file, "--by", by)
    assert done.returncode == 0
    assert "total" in done.stdout


def test_stages_share_the_whole_run(trace_file):
    from simulator.views.report import ROWS

    document = json.loads(trainsoc("run", "edge-16x16", trace_file, "--ops", "--json").stdout)
    stages = dict(ROWS["stage"](document))
    assert {"forward quantise", "forward gemm", "forward dequantise"} <= set(stages)
    shared = sum(row["latency_s"] for row in stages.values())
    assert shared == pytest.approx(document["total"]["latency_s"])


def test_probe_offload_says_what_is_worth_it():
    found = json.loads(trainsoc("probe", "offload", "edge-16x16", "--json").stdout)
    assert [row["phase"] for row in found["break_even"]] == ["forward", "dgrad", "wgrad"]
    assert all(row["zero-copy"] <= row["copies in and out"] for row in found["break_even"])


def test_show_hardware_and_trace(trace_file):
    view = json.loads(trainsoc("show", "edge-16x16", "--json").stdout)
    assert view["accelerator"]["clock_hz"] == 10**9
    assert 0.01 < view["area_mm2"]["array"] < view["area_mm2"]["scratchpad"] < 1
    summary = json.loads(trainsoc("show", trace_file, "--json").stdout)
    assert summary["flops_by_phase"] == {"forward": 5 * 2 * 64**3}
    assert {"ops", "steps", "epochs", "parameters"} <= set(summary)


def test_show_trace_in_words_and_as_figures(trace_file, tmp_path):
    done = trainsoc("show", trace_file, "-o", tmp_path / "figures", "--step", "0")
    assert done.returncode == 0, done.stderr
    assert "5 training and 0 evaluation steps (1 distinct)" in done.stdout
    assert "at its peak, during op 0, mm of fc (forward)." in done.stdout
    files = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert files == ["memory.png", "trace.png"]
    told = trainsoc("show", trace_file, "-o", tmp_path / "figures", "--json")
    summary = json.loads(told.stdout)
    assert {"phases", "layers", "distinct", "steps_per_epoch", "peak", "notes"} <= set(summary)


def test_export_chakra(trace_file, tmp_path):
    out = tmp_path / "step.et"
    done = trainsoc("export", "chakra", trace_file, "-o", out, "--step", "0")
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert b"aten.mm.default" in out.read_bytes()


def test_help_of_import_and_export_names_every_form():
    from simulator.trace.exporters import EXPORTERS
    from simulator.trace.importers import IMPORTERS

    for verb, forms in (("import", IMPORTERS), ("export", EXPORTERS)):
        told = trainsoc(verb, "--help").stdout
        for form in forms:
            assert f"Example: trainsoc {verb} {form} " in told


def test_probe_array_repeats_and_adds(tmp_path):
    shapes, out = tmp_path / "shapes.csv", tmp_path / "out.csv"
    shapes.write_text("name,m,n,k\na,16,16,16\nb,32,10,84\n")
    ideal = ("--set", "dram.preset=ideal", "--set", "accelerator.overlap=none")
    done = trainsoc("probe", "array", "edge-16x16", shapes, "-o", out, *ideal)
    assert done.returncode == 0, done.stderr
    rows = out.read_text().splitlines()
    assert rows[0].startswith("name,m,n,k,compute_cycles,stall_cycles,total_cycles,utilization,")
    # (2R + C + M - 2) * ceil(K/R) * ceil(N/C) - 1
    assert [int(row.split(",")[4]) for row in rows[1:]] == [61, 78 * 6 - 1]


def test_probe_memory_repeats_and_adds(tmp_path):
    patterns, out = tmp_path / "patterns.csv", tmp_path / "out.csv"
    patterns.write_text('pattern,params,note\nseq_read_win,"{""window"": 4}",a\nseq_read,{},b\n')
    done = trainsoc("probe", "memory", "edge-16x16", patterns, "-o", out, "--workers", "1")
    assert done.returncode == 0, done.stderr
    few, many = csv.DictReader(out.read_text().splitlines())
    assert list(few) == [
        "pattern", "params", "note", "bandwidth_gbps", "row_hit_rate", "pj_per_bit",
    ]  # fmt: skip
    assert 0 < float(few["bandwidth_gbps"]) < float(many["bandwidth_gbps"]) < 12.8
    assert float(many["row_hit_rate"]) > 0.95
    assert float(few["pj_per_bit"]) > float(many["pj_per_bit"]) > 0


def test_import_scalesim(tmp_path):
    topology, out = tmp_path / "net.csv", tmp_path / "net.trace"
    topology.write_text(
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, "
        "Num Filter, Strides,\nconv1, 34, 34, 3, 3, 16, 32, 1,\n"
    )
    done = trainsoc("import", "scalesim", topology, "-o", out)
    assert done.returncode == 0, done.stderr
    summary = json.loads(trainsoc("show", out, "--json").stdout)
    assert summary["flops_by_phase"] == {"eval": 2 * 32 * 32 * 32 * 16 * 9}


def test_sweep_writes_a_table_of_points(trace_file, tmp_path):
    import polars

    out = tmp_path / "sweep"
    axes = ("--set", "accelerator.rows=8,16", "--set", "dram.preset=ideal,HBM2_8ch")
    done = trainsoc("sweep", "edge-16x16", trace_file, *axes, "-o", out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    table = polars.read_parquet(out / "points.parquet")
    assert table.height == 4
    alone = json.loads(
        trainsoc(
            "run", "edge-16x16", trace_file, "--json",
            "--set", "accelerator.rows=8", "--set", "dram.preset=HBM2_8ch",
        ).stdout
    )  # fmt: skip
    point = table.filter(
        (polars.col("accelerator.rows") == 8) & (polars.col("dram.preset") == "HBM2_8ch")
    )
    assert point["latency_ps"].to_list() == [alone["total"]["latency_ps"]]
    for name, area in alone["area_mm2"].items():
        assert point[f"area_{name}_mm2"].to_list() == [area]


def wrong(tmp_path, trace_file):
    """What people get wrong, and a word that the answer must contain."""
    edge = (CONFIGS / "edge-16x16.yaml").read_text()
    files = {
        "empty.yaml": "",
        "unknown.yaml": edge.replace("  rows:", "  rowz:"),
        "duplicate.yaml": edge.replace("  rows: 16", "  rows: 16\n  rows: 8"),
        "unitless.yaml": edge.replace("256 KiB", "256"),
        "wrong_unit.yaml": edge.replace("256 KiB", "256 GHz"),
        "not_a_number.yaml": edge.replace("256 KiB", ".nan KiB"),
        "zero.yaml": edge.replace("rows: 16", "rows: 0"),
        "not_a.trace": "hello",
        "patterns.csv": "pattern,params\nseq_read,{}\nzigzag,{}\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    whole = trace_file.read_bytes()
    (tmp_path / "truncated.trace").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "broken").mkdir(exist_ok=True)
    (tmp_path / "broken" / "result.json").write_bytes(b"\xff\xfe{")
    run = ("run", "edge-16x16")
    return {
        "missing file": ((*run, tmp_path / "nothing.trace"), "nothing.trace"),
        "not a trace": ((*run, tmp_path / "not_a.trace"), "not_a.trace"),
        "truncated trace": ((*run, tmp_path / "truncated.trace"), "truncated.trace"),
        "empty YAML": (("run", tmp_path / "empty.yaml", trace_file), "empty"),
        "unknown key": (("run", tmp_path / "unknown.yaml", trace_file), "rowz"),
        "duplicate key": (("run", tmp_path / "duplicate.yaml", trace_file), "rows"),
        "missing unit": (("run", tmp_path / "unitless.yaml", trace_file), "no unit"),
        "wrong unit": (("run", tmp_path / "wrong_unit.yaml", trace_file), "GHz"),
        "not a number": (("run", tmp_path / "not_a_number.yaml", trace_file), "nan"),
        "zero rows": (("run", tmp_path / "zero.yaml", trace_file), "greater than 0"),
        "negative rows": ((*run, trace_file, "--set", "accelerator.rows=-1"), "greater than 0"),
        "wrong type": ((*run, trace_file, "--set", "cpu.cores=many"), "cpu.cores"),
        "unknown setting": ((*run, trace_file, "--set", "cpu.coers=4"), "cpu.cores"),
        "tiny scratchpad": (
            (*run, trace_file, "--set", "accelerator.scratchpad=4 B"),
            "too small for any tile",
        ),
        "tiny DRAM": ((*run, trace_file, "--set", "dram.capacity=4 KiB"), "DRAM has"),
        "unwritable output": ((*run, trace_file, "-o", "/proc/nowhere/out"), "/proc/nowhere"),
        "unknown hardware": (("run", "edge", trace_file), "no hardware"),
        "unknown option": ((*run, trace_file, "--frobnicate"), "--frobnicate"),
        "unknown table": ((*run, trace_file, "--by", "moon"), "moon"),
        "missing argument": (("run",), "argument"),
        "no result": (("plot", tmp_path), "result.json"),
        "missing script": (("capture", tmp_path / "no.py", "-o", tmp_path / "x"), "no.py"),
        "twice": (
            (*run, trace_file, "--set", "cpu.cores=2", "--set", "cpu.cores=4"),
            "given twice",
        ),
        "bandwidth of a preset": ((*run, trace_file, "--set", "dram.bandwidth=1 GB/s"), "preset"),
        "folder as output": (("timeline", tmp_path, "-o", tmp_path), "step.json"),
        "broken result": (("diff", tmp_path / "broken", tmp_path / "broken"), "not JSON"),
        "typo of capture": (("capture", "x.py", "-o", tmp_path / "t", "--stepz", "3"), "--stepz"),
        "no such step": (("show", trace_file, "--step", "3", "-o", "figures"), "has steps 0-0"),
        "step of hardware": (("show", "edge-16x16", "--step", "1"), "is hardware"),
        "setting of a trace": (("show", trace_file, "--set", "cpu.cores=4"), "is a trace"),
        "unwritable figures": (("show", trace_file, "-o", "/proc/nowhere"), "/proc/nowhere"),
        "unknown export": (("export", "onnx", trace_file, "-o", "x.et"), "use chakra"),
        "no such step to export": (
            ("export", "chakra", trace_file, "-o", "x.et", "--step", "3"),
            "has steps 0-0",
        ),
        "unknown import": (
            ("import", "onnx", trace_file, "-o", "x.trace"),
            "execution-trace, kineto, scalesim, auto",
        ),
        "no shapes": (
            ("probe", "array", "edge-16x16", trace_file, "-o", "x.csv"),
            "not text",
        ),
        "no patterns": (
            ("probe", "memory", "edge-16x16", trace_file, "-o", "x.csv"),
            "not text",
        ),
        "unknown pattern": (
            ("probe", "memory", "edge-16x16", tmp_path / "patterns.csv", "-o", tmp_path / "x.csv"),
            "line 3: pattern 'zigzag' is unknown",
        ),
        "no banks": (
            (
                "probe",
                "memory",
                "edge-16x16",
                tmp_path / "patterns.csv",
                "-o",
                tmp_path / "x.csv",
                "--set",
                "dram.preset=ideal",
            ),
            "no banks to probe",
        ),
        "unknown arbitration": (
            (*run, trace_file, "--set", "interconnect.arbitration=loudest"),
            "interconnect.arbitration",
        ),
        "empty axis": (
            ("sweep", "edge-16x16", trace_file, "--set", "cpu.cores=", "-o", "s"),
            "key=",
        ),
    }


CASES = [
    "missing file", "not a trace", "truncated trace", "empty YAML", "unknown key",
    "duplicate key", "missing unit", "wrong unit", "not a number", "zero rows", "negative rows",
    "wrong type", "unknown setting", "tiny scratchpad", "tiny DRAM", "unwritable output",
    "unknown hardware", "unknown option", "unknown table", "missing argument", "no result",
    "missing script", "no shapes", "empty axis", "no patterns", "unknown pattern", "no banks",
    "unknown arbitration", "no such step", "step of hardware", "setting of a trace",
    "unwritable figures", "unknown export", "no such step to export", "unknown import",
    "twice", "bandwidth of a preset", "folder as output", "broken result", "typo of capture",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_exit_code_2(case, tmp_path, trace_file):
    arguments, word = wrong(tmp_path, trace_file)[case]
    before = set(tmp_path.iterdir())
    done = trainsoc(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert word in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert set(tmp_path.iterdir()) == before


LIBRARIES = {"numpy", "polars", "ruamel", "scipy", "matplotlib", "torch", "multiprocessing"}


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], LIBRARIES | {"pydantic", "pydantic_core", "simpy", "rich", "email"}),
        (["run", "--help"], LIBRARIES | {"simpy", "rich"}),
        (["run", "edge-16x16", "lenet_digits"], LIBRARIES | {"rich.progress"}),
        (["run", "edge-16x16", "lenet_digits", "--json"], LIBRARIES | {"rich.progress"}),
        (["show", "edge-16x16"], LIBRARIES | {"simpy"}),
    ],
    ids=["help", "help of run", "run", "run as JSON", "show"],
)
def test_a_verb_imports_no_library_that_it_does_not_use(arguments, unused):
    """Once it has read its files: what it made of them is remembered."""
    script = (
        f"import sys\nsys.argv[1:] = {arguments}\nfrom simulator.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(*sorted({unused} & set(sys.modules)))"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines()[-1] == ""


def test_a_figure_that_a_folder_cannot_give_is_refused(tmp_path):
    trainsoc("run", "edge-16x16", "mlp_digits", "--samples", 0, "-o", tmp_path / "out")
    done = trainsoc("plot", tmp_path / "out", "--only", "heat")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--only heat: " in done.stderr
    assert "has nothing to show in it" in done.stderr
