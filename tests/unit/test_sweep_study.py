"""The request of a sweep: from a file, from Python, and from the folder that it left."""

import re
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.sweeps.axis import parse_axes, read_axes
from simulator.sweeps.folder import begin, read_table, request_in
from simulator.sweeps.request import read_request, request_of
from simulator.sweeps.study import Study, study, study_of
from simulator.trace.storage import save_trace
from tests.builders import StepBuilder, one_step_trace

ROWS, COLS = "accelerator.rows", "accelerator.cols"


def _trace(size: int = 8):
    builder = StepBuilder()
    builder.gemm(size, size, size)
    return one_step_trace(builder)


@pytest.fixture
def traces(tmp_path) -> list[str]:
    """Return the files of two traces."""
    files = [tmp_path / name for name in ("one.trace", "two.trace")]
    for size, file in zip((8, 16), files, strict=True):
        save_trace(_trace(size), file)
    return [str(file) for file in files]


@pytest.fixture
def asked(tmp_path):
    """Return the study of a file with this text."""

    def read(text: str, models=None) -> Study:
        file = tmp_path / "sweep.yaml"
        file.write_text(text)
        return study_of(read_request(file), models)

    return read


def _jobs(found: Study) -> list[tuple]:
    """Return what tells the points of a study apart, and what each will cost."""
    jobs = [found.job(point, dict(point.settings)) for point in found.points()]
    return [(job.address, job.point.settings, dict(job.columns)) for job in jobs]


def _labels(found: Study) -> list[tuple]:
    jobs = [found.job(point, {}) for point in found.points()]
    names = ("baseline", "trace", "method")
    return [(*(job.columns[name] for name in names), job.point.settings) for job in jobs]


_FILE = """\
hardware: edge-16x16
trace: {traces}
method: [as-traced, int8]
axes:
  accelerator.rows = accelerator.cols: [8, 16]
  accelerator.dma.bandwidth, accelerator.clock: [[8 GB/s, 500 MHz], [16 GB/s, 1 GHz]]
  accelerator.scratchpad: {{from: 64 KiB, to: 256 KiB, times: 2}}
constraints: [rows * scratchpad <= 2 MiB]
baselines:
  cpu: cpu-only
  two cores: {{hardware: cpu-only, set: {{cpu.cores: 2}}}}
"""


def test_the_folder_of_a_sweep_asks_for_the_same_points(asked, traces, tmp_path):
    first = asked(_FILE.format(traces=traces))
    begin(tmp_path / "out", first)
    again = study_of(request_in(tmp_path / "out"))
    begin(tmp_path / "out", again)
    third = study_of(request_in(tmp_path / "out"))
    assert _jobs(first) == _jobs(again) == _jobs(third)
    # 2 traces x 2 methods x (2 baselines + 2 ports x (3 memories, or 2 with the larger array)).
    assert len(_jobs(first)) == 2 * 2 * (2 + 2 * (3 + 2))


def test_a_study_made_in_python_is_written_down_too(traces, tmp_path):
    axes = parse_axes([f"{ROWS}={COLS}=8..32:x2", "cpu.clock=1 GHz,1.4 GHz"])
    first = study("edge-16x16", axes, traces[0], conditions=["rows < 32"], baselines={"b": "host"})
    begin(tmp_path, first)
    assert _jobs(study_of(request_in(tmp_path))) == _jobs(first)


def test_axes_of_a_command_line_are_added_to_those_of_a_file(traces):
    base = request_of("edge-16x16", traces[0], [f"{ROWS}=8,16"])
    more = request_of(None, None, [f"{ROWS}=4", f"{COLS}=8..16:x2"], base)
    assert (more.hardware, more.trace) == ("edge-16x16", traces[0])
    assert more.axes == {ROWS: [4], COLS: [8, 16]}


def test_baselines_come_first_with_every_trace_and_method(traces):
    found = study(
        "edge-16x16",
        parse_axes([f"{ROWS}=8"]),
        {"one": traces[0], "two": traces[1]},
        methods=["as-traced", "int8"],
        baselines={"cpu": "cpu-only"},
    )
    ways = [(t, m) for t in ("one", "two") for m in ("as-traced", "int8")]
    labels = _labels(found)
    assert labels[:4] == [("cpu", *way, {}) for way in ways]
    assert sorted(labels[4:]) == [("", *way, {ROWS: "8"}) for way in ways]
    assert len(set(_jobs_addresses(found))) == 8


def _jobs_addresses(found: Study) -> list[str]:
    return [address for address, *_ in _jobs(found)]


def test_one_method_goes_to_all_points(traces):
    plain = study("edge-16x16", parse_axes([f"{ROWS}=8"]), traces[0])
    treated = study("edge-16x16", parse_axes([f"{ROWS}=8"]), traces[0], methods=["int8"])
    assert [method for _, _, method, _ in _labels(treated)] == ["int8"]
    assert _jobs_addresses(plain) != _jobs_addresses(treated)


def test_baselines_of_a_file_may_have_settings(asked, traces):
    text = "baselines: {{two: {{hardware: cpu-only, set: {{cpu.cores: 2}}}}}}\ntrace: {}\n"
    found = asked(text.format(traces[0]))
    assert found.space.baselines == {"two": load_hardware("cpu-only", {"cpu.cores": 2})}
    named = asked(f"baselines: [cpu-only, host]\ntrace: {traces[0]}\n")
    assert list(named.space.baselines) == ["cpu-only", "host"]


def test_traces_are_named_by_their_files_where_that_tells_them_apart(asked, traces, tmp_path):
    found = asked(f"trace: {traces}\n")
    assert list(found.training.traces) == ["one", "two"]
    other = tmp_path / "other" / "one.trace"
    other.parent.mkdir()
    save_trace(_trace(4), other)
    same = asked(f"trace: [{traces[0]}, {other}]\n")
    assert list(same.training.traces) == [traces[0], str(other)]


def test_an_axis_of_traces_may_be_linked_with_settings(traces):
    axes = read_axes({f"trace, {ROWS}": [[traces[0], 8], [traces[1], 16]]})
    found = study("edge-16x16", axes, "ignored beside an axis of traces")
    assert [(trace, settings) for _, trace, _, settings in _labels(found)] == [
        ("one", {ROWS: "8"}),
        ("two", {ROWS: "16"}),
    ]


def test_each_batch_size_is_captured_once_by_the_model_that_is_named():
    calls = []

    def models(name, batch):
        calls.append((name, batch))
        return _trace(batch)

    for how in ({"batches": [8, 16]}, {}):
        axes = parse_axes([f"{ROWS}=8,16", *([] if how else ["batch=8,16"])])
        found = study("edge-16x16", axes, {"net": "net"}, models=models, **how)
        labels = [dict(point.labels) for point in found.points()]
        sizes = ["8", "8", "16", "16"]
        assert labels == [{"trace": f"net b{n}", "batch": n} for n in sizes]
        assert calls == [("net", 8), ("net", 16)]
        calls.clear()


def test_a_model_without_batch_is_captured_as_it_is():
    found = study("edge-16x16", (), "net", models=lambda *_: _trace(8))
    assert found.trace == "net"


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"batch": [0]}, "axis batch: 0: write whole numbers from 1 on"),
        ({"batch": ["many"]}, "axis batch: many: write whole numbers"),
        ({"batch": ["\u00b2"]}, "axis batch: \u00b2: write whole numbers"),
        ({f"batch, {ROWS}": [[8, 8], [16, 32]]}, f"axis batch, {ROWS}: a batch is an axis of its"),
        ({"trace, batch": [["net", 8], ["other", 16]]}, "axis trace, batch: a batch is an axis"),
    ],
)
def test_a_wrong_batch_is_told(axes, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        study("edge-16x16", read_axes(axes), "net", models=lambda *_: _trace())


def test_a_file_has_its_batch_already(traces):
    for models in (None, lambda *_: _trace()):
        source = traces[0] if models is None else _trace()
        with pytest.raises(InputError, match="was captured with its batch; name a model"):
            study("edge-16x16", parse_axes(["batch=8"]), source, models=models)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("axes: {accelerator.rows: [8]}", "a sweep needs a trace"),
        ("trace: []", "a sweep needs a trace"),
        ("trace: /nowhere.trace", "no trace at /nowhere.trace"),
        ("trase: x", "trase: unknown key; known: hardware, trace, method"),
        ("axes: [8]", "axes: [8]: write settings by name"),
        ("batch: 8", "batch: write a list of whole numbers"),
        ("baselines: {one: 3}", "baselines: write {name: cpu-only}"),
        ("trace: 3", "trace: write a name or a file"),
        ("trace: ONE\nmethod: nothing", "no method at nothing"),
        ("trace: ONE\nhardware: edge-16x61", "did you mean edge-16x16?"),
        ("trace: ONE\nbaselines: [cpu-onyl]", "did you mean cpu-only?"),
        ("trace: ONE\naxes: {accelerator.rowz: [8]}", "did you mean accelerator.rows?"),
        ("trace: ONE\naxes: {accelerator.rows: [0]}", "accelerator.rows: 0: input should be"),
        ("trace: ONE\ntrace: TWO", "line 2"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(asked, traces, text, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)) as told:
        asked(text.replace("ONE", traces[0]) + "\n")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("line", ["trainsoc: 0.0.1-old", "store: 99"])
def test_points_of_another_trainsoc_stay_as_they_are(traces, tmp_path, line):
    found = study("edge-16x16", parse_axes([f"{ROWS}=8"]), traces[0])
    begin(tmp_path, found)
    file = tmp_path / "sweep.yaml"
    key = line.split(":")[0]
    file.write_text(re.sub(rf"^{key}:.*$", line, file.read_text(), flags=re.MULTILINE))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for refused in (lambda: begin(tmp_path, found), lambda: request_in(tmp_path)):
        with pytest.raises(InputError, match="choose another folder; they stay as they are"):
            refused()
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_without_a_sweep_or_a_table_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no sweep\.yaml here"):
        request_in(tmp_path)
    with pytest.raises(InputError, match=r"no points\.parquet here"):
        read_table(tmp_path)
    Path(tmp_path / "points.parquet").write_bytes(b"PAR1 not quite")
    with pytest.raises(InputError, match=r"is damaged, .* writes it again"):
        read_table(tmp_path)
