"""Files that cannot be imported are refused in one sentence, never with a traceback."""

import gzip

import pytest

from simulator.trace.importers import IMPORTERS, detect
from tests.system.import_samples import FILES, imported, read, refused, sample, write


@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_files_that_are_cut_short_are_refused(name, part, tmp_path):
    text = gzip.decompress(sample(name).read_bytes())
    plain = tmp_path / "cut.json"
    plain.write_bytes(text[: int(len(text) * part)])
    refused(FILES[name][0], plain, "cut short")
    packed = tmp_path / "cut.json.gz"
    raw = sample(name).read_bytes()
    packed.write_bytes(raw[: int(len(raw) * part)])
    refused(FILES[name][0], packed, "cut short")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("execution-trace", "{'schema': 1}"),
        ("execution-trace", '{"schema": "1.0.1", "nodes": [{"id": 1,,}]}'),
        ("execution-trace", "hello"),
        ("kineto", "hello"),
        ("kineto", '{"traceEvents": [{"ph": "X"} {"ph": "X"}]}'),
        ("kineto", '{"traceEvents": [{"ph": "X" "name": "a"}, {"ph": "X", "name": "b"}]}'),
    ],
)
def test_what_is_not_json_is_refused(form, text, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    refused(form, path, "JSON")


@pytest.mark.parametrize("form", ["execution-trace", "kineto", "scalesim", "auto"])
def test_files_that_cannot_be_read_are_refused(form, tmp_path):
    refused(form, tmp_path / "missing.json", "cannot read")
    refused(form, tmp_path, "cannot read")
    binary = tmp_path / "binary.json"
    binary.write_bytes(bytes(range(256)) * 10)
    refused(form, binary, "not a text file")


def test_a_node_that_lacks_something_is_refused(tmp_path):
    content = read("lenet.et")
    del content["nodes"][10]["inputs"]["types"]
    refused("execution-trace", write(tmp_path / "t.json", content), "types", "record")


def test_a_profile_without_shapes_says_how_to_get_them(tmp_path):
    content = read("lenet.kineto")
    for event in content["traceEvents"]:
        for key in ("Input Dims", "Input type", "Input Strides", "Concrete Inputs"):
            event.get("args", {}).pop(key, None)
    refused("kineto", write(tmp_path / "t.json", content), "record_shapes=True")


def test_a_chrome_trace_of_another_tool_is_refused(tmp_path):
    events = [{"ph": "X", "cat": "toplevel", "name": "Paint", "ts": 1, "dur": 2, "tid": 1}]
    refused("kineto", write(tmp_path / "t.json", {"traceEvents": events}), "another tool")
    refused("kineto", write(tmp_path / "list.json", events), "another tool")


@pytest.mark.parametrize("name", ["lenet.et", "lenet.kineto"])
def test_a_trace_without_products_is_refused(name, tmp_path):
    content = read(name)
    key = "nodes" if "nodes" in content else "traceEvents"
    products = ("conv", "linear", "mm", "addmm", "Backward", "evaluate_function")
    content[key] = [
        entry for entry in content[key] if not any(p in str(entry.get("name")) for p in products)
    ]
    refused(FILES[name][0], write(tmp_path / "t.json", content), "no matrix product")


def test_an_empty_file_of_the_right_form_is_refused(tmp_path):
    refused("kineto", write(tmp_path / "k.json", {"traceEvents": []}), "aten::")
    content = {"schema": "1.1.1-chakra.0.0.4", "nodes": []}
    refused("execution-trace", write(tmp_path / "e.json", content), "no matrix product")


# Which form


@pytest.mark.parametrize("name", FILES)
def test_forms_are_detected(name):
    assert detect(sample(name)) == FILES[name][0]
    assert IMPORTERS["auto"](sample(name)) == imported(name)


def test_the_wrong_form_is_told_with_the_right_command():
    path = sample("lenet.et")
    refused("kineto", path, "an execution trace".partition(" ")[2], "trainsoc import execution")
    refused("scalesim", sample("lenet.kineto"), "trainsoc import kineto")


def test_what_is_of_no_form_is_told(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader,\nall is well\n")
    refused("auto", path, "none of the formats")
