# ruff: noqa: E402 - without torch nothing here can be imported
"""A network gets its input as it is, also what can be read once; its steps count by their work."""

import collections
import dataclasses
import enum
import io

import pytest

torch = pytest.importorskip("torch")

import numpy as np
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.scripts.truths import chain
from tests.training_accounts import check, learn, sgd

pytestmark = pytest.mark.torch
ROWS = (2, 2, 2, 3, 3, 2, 3, 2)  # two of a kind are recorded before another comes
WIDTH, CLASSES = 4, 3


# Inputs: `make(rows)` gives what the network gets, which reads it as [rows, WIDTH]


def rows_of(tensor):
    return list(tensor.unbind())


class Kind(enum.Enum):
    SHORT = 2
    LONG = 3


@dataclasses.dataclass
class Image:
    pixels: torch.Tensor


@dataclasses.dataclass
class Batch:
    images: list[Image]
    name: str = "batch"


class Slotted:
    __slots__ = ("pixels",)

    def __init__(self, pixels):
        self.pixels = pixels


Pair = collections.namedtuple("Pair", ("pixels", "size"))


class Rows(Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index]


class Counting:
    """Gives every row once, and is spent by whatever looks at it."""

    def __init__(self, x):
        self.left = rows_of(x)

    def __iter__(self):
        while self.left:
            yield self.left.pop(0)

    def __len__(self):
        return len(self.left.pop(0)) if self.left else 0

    def __getitem__(self, index):
        if not self.left:
            raise IndexError(index)
        return self.left.pop(0)


class Touchy:
    """Does not like to be compared, hashed, described or asked for what it has not."""

    def __init__(self, x):
        self.pixels = x

    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("compared")

    def __repr__(self):
        raise AssertionError("described")

    def __bool__(self):
        raise AssertionError("judged")

    def __getattr__(self, name):
        raise KeyError(name)


class Lazy:
    """Loads what it has when that is first read."""

    def __init__(self, x):
        self.path = x

    @property
    def pixels(self):
        path, self.path = self.path, None
        return path


class Marked(torch.Tensor):
    """A tensor subclass without behaviour of its own."""


def as_text(x):
    return "\n".join(" ".join(map(str, row)) for row in x.tolist())


def from_text(text):
    return torch.tensor([[float(word) for word in line.split()] for line in text.splitlines()])


def cycle():
    """Return a list that contains itself."""
    endless = []
    endless.append(endless)
    return endless


INPUTS = {
    "generator": (lambda x: (row for row in x), lambda rows: torch.stack(list(rows))),
    "iterator": (lambda x: iter(rows_of(x)), lambda rows: torch.stack(list(rows))),
    "zip": (
        lambda x: zip(x[:, :2], x[:, 2:], strict=True),
        lambda pairs: torch.stack([torch.cat(pair) for pair in pairs]),
    ),
    "map": (lambda x: map(torch.sin, x), lambda rows: torch.stack(list(rows))),
    "enumerate": (enumerate, lambda rows: torch.stack([row for _, row in rows])),
    "text file": (lambda x: io.StringIO(as_text(x)), lambda file: from_text(file.read())),
    "lines of a file": (
        lambda x: io.StringIO(as_text(x)), lambda file: torch.cat([from_text(s) for s in file])
    ),
    "binary file": (
        lambda x: io.BytesIO(x.numpy().tobytes()),
        lambda file: torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(-1, WIDTH),
    ),
    "iterator in a dict": (
        lambda x: {"rows": iter(rows_of(x))}, lambda batch: torch.stack(list(batch["rows"]))
    ),
    "data set": (Rows, lambda data: torch.stack([data[i] for i in range(len(data))])),
    "numpy array": (lambda x: x.numpy(), torch.from_numpy),
    "numpy objects": (
        lambda x: np.array([x, None], dtype=object), lambda array: array[0]
    ),
    "read once by anything": (Counting, lambda rows: torch.stack([1 * row for row in rows])),
    "touchy": (Touchy, lambda batch: batch.pixels),
    "property": (Lazy, lambda batch: batch.pixels),
    "slots": (Slotted, lambda batch: batch.pixels),
    "named tuple": (lambda x: Pair(x, len(x)), lambda pair: pair.pixels),
    "dataclasses": (
        lambda x: Batch([Image(row) for row in x]),
        lambda batch: torch.stack([image.pixels for image in batch.images]),
    ),
    "enum": (lambda x: Kind(len(x)), lambda kind: torch.ones(kind.value, WIDTH)),
    "number": (len, lambda size: torch.ones(size, WIDTH)),
    "tensor": (torch.sin, torch.cos),
    "text": (as_text, from_text),
    "bytes": (
        lambda x: x.numpy().tobytes(),
        lambda raw: torch.frombuffer(bytearray(raw), dtype=torch.float32).view(-1, WIDTH),
    ),
    "subclass": (lambda x: x.as_subclass(Marked), lambda x: x.as_subclass(torch.Tensor)),
    "values of a dict": (
        lambda x: dict(enumerate(x)).values(), lambda rows: torch.stack(list(rows))
    ),
    "items of a dict": (
        lambda x: dict(enumerate(x)).items(), lambda rows: torch.stack([r for _, r in rows])
    ),
    "set": (set, lambda rows: torch.stack(sorted(rows, key=torch.sum))),
    "deque": (
        collections.deque, lambda rows: torch.stack([rows.popleft() for _ in range(len(rows))])
    ),
    "range": (lambda x: range(len(x)), lambda rows: torch.ones(len(rows), WIDTH)),
    "function": (lambda x: lambda: x, lambda load: load()),
    "module": (lambda x: nn.ParameterList([x]), lambda holder: holder[0].detach()),
    "contains itself": (lambda x: (x, cycle()), lambda given: given[0]),
    "packed sequence": (
        lambda x: pack_sequence(rows_of(x)), lambda packed: packed.data.view(-1, WIDTH)
    ),
}  # fmt: skip
KEYWORDS = "tensor", "generator", "numpy array", "dataclasses", "enum", "values of a dict"


class Reads(nn.Module):
    """A linear layer on what `read` makes of the input."""

    def __init__(self, read):
        super().__init__()
        self.read = read
        self.body = nn.Linear(WIDTH, CLASSES)

    def forward(self, given):
        return self.body(self.read(given))


class ReadsKeyword(Reads):
    def forward(self, *, given):
        return super().forward(given)


def reading(name, keyword):
    """Return a training of a network that gets the input `name`, by position or by keyword."""
    make, read = INPUTS[name]

    def train():
        model = (ReadsKeyword if keyword else Reads)(read)
        optimizer = sgd(model)
        for rows in ROWS:
            given = make(torch.randn(rows, WIDTH))
            out = model(given=given) if keyword else model(given)
            yield learn(optimizer, out.square().mean())
        return chain(sum(ROWS), WIDTH, CLASSES)

    return train


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_reaches_the_network_as_it_is(name):
    check(reading(name, keyword=False))


@pytest.mark.parametrize("name", KEYWORDS)
def test_an_input_by_keyword_counts_like_one_by_position(name):
    check(reading(name, keyword=True))


def test_a_network_that_gets_a_loader():
    """The network itself goes through the loader: one call, and one step."""

    def train():
        model = Reads(lambda loader: torch.cat([x for (x,) in loader]))
        optimizer = sgd(model)
        for rows in ROWS:
            loader = DataLoader(TensorDataset(torch.randn(rows, WIDTH)), batch_size=1)
            yield learn(optimizer, model(loader).square().mean())
        return chain(sum(ROWS), WIDTH, CLASSES)

    check(train)
