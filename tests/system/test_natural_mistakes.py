"""What people get wrong: each is one sentence that says the fix, exit code 2, and nothing is left.

What files hold that somebody wrote by hand is in `test_mistaken_files`.
"""

import os
import shlex

import pytest

from tests.command_line import trainsoc

FILES = {
    "train.py": "print('no training here')\n",
    "key.yaml": "base: edge-16x16\ncpu:\n  corse: 2\n",
    "twice.yaml": "base: edge-16x16\ncpu:\n  cores: 2\n  cores: 4\n",
    "tabs.yaml": "base: edge-16x16\ncpu:\n\tcores: 2\n",
    "negative.yaml": "base: edge-16x16\ndram:\n  capacity: -1 GiB\n",
    "unitless.yaml": "base: edge-16x16\naccelerator:\n  scratchpad: 256\n",
    "nothing.yaml": "",
    "table.csv": "a,b\n1,2\n",
    "a file": "x\n",
    "model.pt": "PK\x03\x04 a ZIP archive",
}
SWEEP = "sweep edge-16x16 mlp_digits -o new --workers 1 --set"
MISTAKES = {
    "run mlp_digits edge-16x16": "the SoC goes first: trainsoc run edge-16x16 mlp_digits",
    "run edge-16x61 mlp_digits": "did you mean edge-16x16?",
    "run edge-16x16 mlp_digit": "did you mean mlp_digits?",
    "run edge-16x16 mlp_digits --method int9": "did you mean int8?",
    "run edge-16x16 mlp_digits --baseline cpu-onli": "did you mean cpu-only?",
    "run edge-16x16 mlp_digits --by layers": "did you mean layer?",
    "run edge-16x16 mlp_digits --sample 3": "--samples",
    "run edge-16x16 mlp_digits --part fc9..": "layers in order: 0, 1, 2",
    "rum edge-16x16 mlp_digits": "Did you mean 'run'?",
    "run edge-16x16 model.pt": "unpack it first",
    "run edge-16x16 train.py": "trainsoc capture train.py -o run.trace",
    "run edge-16x16 folder": "give the name of a file in it",
    "run edge-16x16 mlp_digits --set rows=32": "did you mean accelerator.rows?",
    "run edge-16x16 mlp_digits --set accelerator.rows": "write it as key=value",
    "run edge-16x16 mlp_digits --set accelerator.rows=0": "should be greater than 0",
    "run edge-16x16 mlp_digits --set accelerator.rows=thirty": "a valid integer",
    "run edge-16x16 mlp_digits --set accelerator.scratchpad=512": "write it as '256 KiB'",
    "run edge-16x16 mlp_digits --set accelerator.scratchpad=5MHz": "is not a unit of size",
    "run edge-16x16 mlp_digits --set dram.preset=DDR3": "known: ideal, DDR4-2400_x64_1ch",
    "run edge-16x16 mlp_digits --samples 0 -o 'a file'": "a file is a file; name a folder",
    "run key.yaml mlp_digits": "key.yaml: cpu.corse: unknown key; did you mean",
    "run twice.yaml mlp_digits": 'line 4: found duplicate key "cores"',
    "run tabs.yaml mlp_digits": "line 3: not YAML",
    "run negative.yaml mlp_digits": "dram.capacity: -1073741824: input should be greater than 0",
    "run unitless.yaml mlp_digits": "256 has no unit: write it as '256 KiB'",
    "run nothing.yaml mlp_digits": "start from a copy of edge-16x16.yaml",
    "run missing.yaml mlp_digits": "there is no such file; check the path",
    "plot folder": "run `trainsoc run -o` first",
    "report folder": "run `trainsoc run -o` first",
    "explain folder": "reads the folder that `trainsoc run -o` wrote",
    "diff folder": "name two folders or more",
    "capture missing.py -o new": "there is no such file; check the path",
    "capture resnet19 -o new": "did you mean resnet18?",
    "capture train.py": "Missing option '-o' / '--out'",
    "import auto table.csv -o new": "none of the formats that can be imported",
    "import chakra table.csv -o new": "known: execution-trace, kineto, scalesim, auto",
    "sweep edge-16x16 mlp_digits": "sweep needs -o DIR",
    "sweep -o folder --best energy": "name the hardware and the trace",
    f"{SWEEP} accelerator.rows=": "key=8..64:x2 (doubling)",
    f"{SWEEP} accelerator.rows=8..64": "key=8..64:x2 (doubling)",
    f"{SWEEP} accelerator.rows=64..8:x2": "is empty or has no end",
    f"{SWEEP} accelerator.rows=8 --require 'area <= 2'": "2 of what? write a unit, such as 2 mm2",
    f"{SWEEP} accelerator.rows=8 --require 'area <= 2 mW'": "area is in mm2, not in mW",
    f"{SWEEP} accelerator.rows=8 --require 'aera <= 2 mm2'": "did you mean area",
    f"{SWEEP} accelerator.rows=8 --require 'latency < 1 s'": "ask with --best and --where",
    f"{SWEEP} accelerator.rows=8 --minimize enrgy": "--minimize enrgy: no such measure; did you",
    f"{SWEEP} accelerator.rows=8 --workers 0": "greater than or equal to 1",
    "show mlp_digit": "mlp_digits",
    "list chips": "known: hardware, traces, methods",
    "scenario split-inferense": "did you mean split-inference?",
    "scenario split-inference --set links.radio.rate=fast": "write it as '100 Mb/s'",
    "compare edge-16x16 mlp_digits": "capture it with --time",
    "probe offlod edge-16x16": "Did you mean 'offload'?",
    "export onnx mlp_digits -o new": "use chakra",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_sentence_that_says_the_fix(command, place):
    done = trainsoc(*shlex.split(command), cwd=place)
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("trainsoc: ")
    assert MISTAKES[command] in sentence
    assert sorted(os.listdir(place)) == sorted([*FILES, "folder"])
    assert not os.listdir(place / "folder")
