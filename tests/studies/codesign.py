"""Network, array and precision searched together, or one after the other, at equal budgets.

The question of FGNAS (Lu et al., arXiv 1911.00105): six-layer networks on an FPGA of 30,000 look-up
tables at 1,293 CIFAR images a second, at 100 MHz (a guess: the paper states no clock). Here the
images are the digits of scikit-learn: 8 x 8 instead of 32 x 32, so the same rate of pixels is
16 x 1,293 images a second. Operands have 4, 6, 8 or 16 bits in training, too: every accuracy in
`codesign_accuracy.csv` is that of a network that was trained with them.

`python -m tests.studies.codesign --train` trains all and writes that file, in some 20 minutes;
without an option it searches and prints the table.
"""

import argparse
import csv
from collections.abc import Sequence
from functools import cache
from itertools import product
from math import comb
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import optuna
import torch

from simulator import simulate
from simulator.energy.fpga import element
from simulator.hardware import Hardware, load_hardware
from simulator.interactive.scenario import captured
from simulator.trace.trace import Trace
from workloads.models.cnn_digits import cnn_digits
from workloads.recipes.digits import digits, loaders
from workloads.recipes.loop import evaluate, train_epoch
from workloads.recipes.methods.rounding import QuantisedLayer, replace_all
from workloads.recipes.network_digits import start_weights

ACCURACIES = Path(__file__).with_name("codesign_accuracy.csv")
DEPTHS, WIDTHS, KERNELS = (2, 4, 6), (16, 32, 48, 64), (1, 3, 5)
BITS, TILES = (4, 6, 8, 16), (4, 8, 12, 16)
LUTS, IMAGES_PER_S, CLOCK_HZ, BATCH = 30_000, 16 * 1293, 10**8, 32
EPOCHS = 6
SEEDS = range(10)


class Network(NamedTuple):
    """A member of the family `cnn_digits`."""

    depth: int
    width: int
    kernel: int

    @property
    def model(self) -> str:
        """The name under which it is captured and trained."""
        return f"cnn_digits:depth={self.depth},width={self.width},kernel={self.kernel}"


class Array(NamedTuple):
    """An array of Tm x Tn elements of integers of so many bits."""

    rows: int
    cols: int
    bits: int


class Design(NamedTuple):
    """A network and what runs it."""

    network: Network
    array: Array


NETWORKS = [Network(*each) for each in product(DEPTHS, WIDTHS, KERNELS)]
ARRAYS = [Array(*each) for each in product(TILES, TILES, BITS)]


@cache
def images_per_s(network: Network, array: Array) -> float:
    """Return the images that an array takes in a second of its own time, at batches of 32."""
    run = simulate(_hardware(array), _captured(network))
    return BATCH / float(run.total["accelerator_busy_s"])


def luts(array: Array) -> int:
    """Return the look-up tables of its elements: a multiplier and an adder each."""
    return element(f"int{array.bits}").luts * array.rows * array.cols


def _hardware(array: Array) -> Hardware:
    precision = f"int{array.bits}"
    return load_hardware(
        Path(__file__).with_name("codesign-fpga.yaml"),
        {"accelerator.rows": array.rows, "accelerator.cols": array.cols,
         "accelerator.precision": precision},
    )  # fmt: skip


@cache
def _captured(network: Network) -> Trace:
    return captured(f"{network.model} eval", BATCH)


def is_feasible(network: Network, array: Array) -> bool:
    """Whether a design fits the FPGA and is fast enough; nothing is trained for it."""
    return luts(array) <= LUTS and images_per_s(network, array) >= IMAGES_PER_S


def feasible_bits(network: Network) -> list[int]:
    """Return the widths in which some array runs a network fast enough."""
    return [
        bits
        for bits in BITS
        if any(each.bits == bits and is_feasible(network, each) for each in ARRAYS)
    ]


class Budget:
    """Trainings that may still be made; each (network, width) costs one, once."""

    def __init__(self, trainings: int) -> None:
        """Allow so many `trainings`."""
        self.left = trainings
        self._accuracies: dict[tuple[Network, int], float] = {}

    def accuracy(self, network: Network, bits: int) -> float | None:
        """Return the accuracy of a network, None where nothing is left to train it."""
        key = network, bits
        if key not in self._accuracies:
            if not self.left:
                return None
            self.left -= 1
            self._accuracies[key] = accuracies()[key]
        return self._accuracies[key]


def _study(seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
    return optuna.create_study(sampler=sampler, direction="maximize")


def _network(trial: optuna.Trial) -> Network:
    return Network(
        trial.suggest_categorical("depth", DEPTHS),
        trial.suggest_categorical("width", WIDTHS),
        trial.suggest_categorical("kernel", KERNELS),
    )


def joint(seed: int, trainings: int) -> float:
    """Return the best accuracy of a feasible design that a search of both at once meets.

    What does not fit or is too slow is known before it is trained, and costs nothing.
    """
    study, budget, best = _study(seed), Budget(trainings), 0.0
    for _ in range(40 * trainings):
        trial = study.ask()
        network = _network(trial)
        sizes = (trial.suggest_categorical(name, TILES) for name in ("rows", "cols"))
        array = Array(*sizes, trial.suggest_categorical("bits", BITS))
        if not is_feasible(network, array):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        accuracy = budget.accuracy(network, array.bits)
        if accuracy is None:
            break
        study.tell(trial, accuracy)
        best = max(best, accuracy)
    return best


def network_first(seed: int, trainings: int, *, falls_back: bool = False) -> float:
    """Return the accuracy of the best network, found at 16 bits, as it fits the FPGA.

    All but a training for each narrower width go into the search for the network, which is then
    trained in each width in which some array runs it fast enough; 0 where none does. One that
    `falls_back` takes the next best network instead, until one fits.
    """
    study, budget = _study(seed), Budget(trainings - len(BITS) + 1)
    results: dict[Network, float] = {}
    for _ in range(40 * trainings):
        trial = study.ask()
        network = _network(trial)
        accuracy = budget.accuracy(network, BITS[-1])
        if accuracy is None:
            break
        study.tell(trial, accuracy)
        results[network] = accuracy
    budget.left = len(BITS) - 1
    ranked = sorted(results, key=lambda each: -results[each])
    for network in ranked if falls_back else ranked[:1]:
        fits = [budget.accuracy(network, bits) for bits in feasible_bits(network)]
        if fits:
            return max(each for each in fits if each is not None)
    return 0.0


def compared(trainings: int, *, falls_back: bool = False) -> list[tuple[float, float]]:
    """Return the accuracies of both ways at each seed: joint, network first."""
    return [
        (joint(seed, trainings), network_first(seed, trainings, falls_back=falls_back))
        for seed in SEEDS
    ]


def sign_test(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the probability that as many of the pairs that differ favour the first by chance."""
    wins = sum(a > b for a, b in pairs)
    total = sum(a != b for a, b in pairs)
    return sum(comb(total, each) for each in range(wins, total + 1)) / 2**total


@cache
def accuracies() -> dict[tuple[Network, int], float]:
    """Return the test accuracy by network and width, as trained."""
    with ACCURACIES.open(encoding="utf-8", newline="") as file:
        return {
            (Network(*(int(row[name]) for name in Network._fields)), int(row["bits"])):
            float(row["accuracy"])
            for row in csv.DictReader(file)
        }  # fmt: skip


def trained(network: Network, bits: int) -> float:
    """Return the test accuracy of a network after training with operands of so many bits."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = cnn_digits(*network)
    start_weights(model)
    replace_all(model, lambda layer: QuantisedLayer(layer, bits))
    batches, tests = loaders(*digits(8), BATCH)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(EPOCHS):
        train_epoch(model, batches, torch.nn.CrossEntropyLoss(), optimizer)
    return evaluate(model, tests)


def train_all() -> None:
    """Train what `codesign_accuracy.csv` lacks, and write it whole after each network."""
    done = dict(accuracies()) if ACCURACIES.exists() else {}
    for network in sorted(NETWORKS, key=lambda n: n.depth * n.width**2 * n.kernel**2):
        for bits in {*feasible_bits(network), BITS[-1]}:
            if (network, bits) not in done:
                done[network, bits] = trained(network, bits)
        lines = [(*each, bits, round(value, 4)) for (each, bits), value in sorted(done.items())]
        rows = [",".join(map(str, line)) for line in lines]
        ACCURACIES.write_text("\n".join(["depth,width,kernel,bits,accuracy", *rows]) + "\n")
        print(network, feasible_bits(network), flush=True)


def main() -> None:
    """Train, or search and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", action="store_true")
    if parser.parse_args().train:
        train_all()
        return
    for trainings, falls_back in product((8, 12, 16), (False, True)):
        pairs = compared(trainings, falls_back=falls_back)
        gains = [a - b for a, b in pairs]
        means = [mean(column) for column in zip(*pairs, strict=True)]
        print(
            f"{trainings} trainings{', falls back' if falls_back else ''}: joint {means[0]:.3f}, "
            f"network first {means[1]:.3f}, gain {mean(gains):+.3f} (sd {stdev(gains):.3f}), "
            f"{sum(g > 0 for g in gains)} wins, {sum(g < 0 for g in gains)} losses, "
            f"sign test {sign_test(pairs):.3f}"
        )


if __name__ == "__main__":
    main()
