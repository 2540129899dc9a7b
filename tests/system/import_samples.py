"""Sample files of PyTorch's own tools, and how the tests of the importers use them."""

import gzip
import json
from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.trace.importers import IMPORTERS

SAMPLES = Path(__file__).parents[1] / "reference" / "traces"
FILES = {
    "lenet.et": ("execution-trace", 2),
    "lenet.et_only": ("execution-trace", 3),
    "resnet18_cifar.et": ("execution-trace", 2),
    "lenet.kineto": ("kineto", 2),
    "lenet.kineto_stack": ("kineto", 1),
    "resnet18_cifar.kineto": ("kineto", 2),
}
ROLES = {"fwd": "forward", "dgrad": "dgrad", "wgrad": "wgrad"}


def sample(name):
    return SAMPLES / f"{name}.json.gz"


def read(name):
    return json.loads(gzip.decompress(sample(name).read_bytes()))


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def truth(name):
    return json.loads((SAMPLES / f"{name.partition('.')[0]}.truth.json").read_text())


def imported(name):
    return IMPORTERS[FILES[name][0]](sample(name))


def refused(form, path, *words):
    """Import the file and check that it is refused in one sentence with these words."""
    with pytest.raises(InputError) as caught:
        IMPORTERS[form](path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message
