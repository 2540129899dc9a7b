"""A calibrated CPU against the CPU itself, on networks that no calibration runs.

python -m tests.calibration HOST.yaml [NETWORK...] --threads 1,2 measures each network in a process
of its own, first without any hook, then captured with times, and prints predicted against measured;
at the end a table, a row for each network and number of threads.
"""

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from statistics import median

STEPS = 24


def networks():
    """Return, by name, what makes the model, its optimizer, its inputs and labels."""
    import torch
    from torch import nn

    from workloads.models.mobilenet import MobileNetV2
    from workloads.models.vit import VitTiny
    from workloads.recipes.lenet_digits import LeNet5
    from workloads.recipes.resnet20_digits import ResNet20

    def images(*shape):
        return torch.rand(*shape), torch.randint(10, shape[:1])

    def perceptron():
        layers = [nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(1024, 10))

    class HalfPrecision(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = perceptron()

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.body(x)

    def momentum(parameters):
        return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)

    def encoder():
        layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
        body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        return nn.Sequential(nn.Embedding(500, 128), body, nn.Linear(128, 500), nn.Flatten(0, 1))

    tokens = torch.randint(500, (16, 48)), torch.randint(500, (16 * 48,))
    return {
        "lenet_digits": (LeNet5, momentum, images(32, 1, 28, 28)),
        "resnet20_digits": (ResNet20, momentum, images(32, 3, 32, 32)),
        "mlp_1024": (perceptron, momentum, images(64, 64)),
        "mlp_1024_adam": (perceptron, torch.optim.Adam, images(64, 64)),
        "mlp_1024_bf16": (HalfPrecision, momentum, images(64, 64)),
        "encoder": (encoder, torch.optim.AdamW, tokens),
        "mobilenet_v2": (partial(MobileNetV2, 10), momentum, images(16, 3, 64, 64)),
        "vit_tiny": (partial(VitTiny, 64, 8, 10), torch.optim.AdamW, images(8, 3, 64, 64)),
    }


NAMES = (
    "lenet_digits", "resnet20_digits", "mlp_1024", "mlp_1024_adam", "mlp_1024_bf16", "encoder",
    "mobilenet_v2", "vit_tiny",
)  # fmt: skip
STEP, PHASE = 0.15, 0.25  # errors that are accepted, of a step and of its phases


def measure(hardware, name, threads):
    """Return predicted and measured seconds: whole step, phases (no hooks), kinds (timed trace)."""
    import torch

    from simulator.comparison import compare
    from simulator.hardware import load_hardware
    from workloads.capture import capture
    from workloads.capture.memory import settle_heap

    host = load_hardware(hardware, {"cpu.cores": threads})
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    settle_heap()
    make, optimizer_of, (inputs, labels) = networks()[name]
    model = make()
    optimizer, loss_of = optimizer_of(model.parameters()), torch.nn.CrossEntropyLoss()

    def step():
        marks = [time.perf_counter()]
        optimizer.zero_grad()
        zeroed = time.perf_counter() - marks[0]
        loss = loss_of(model(inputs), labels)
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        forward, backward, updated = (b - a for a, b in pairwise(marks))
        whole = marks[-1] - marks[0]
        return whole, forward - zeroed, backward, updated + zeroed

    for _ in range(5):
        step()
    times = [median(column) for column in zip(*(step() for _ in range(STEPS)), strict=True)]
    with capture(model, optimizer, steps=STEPS, name=name, time=True) as recording:
        for _ in range(2 * STEPS):
            step()
    document = compare(host, recording.trace)
    return {"step": document["step"]["predicted_s"], "kinds": document["kinds"]} | {
        "measured": dict(zip(("step", "forward", "backward", "optimizer"), times, strict=True)),
        "predicted": _phases(document),
    }


def _phases(document):
    phases = {row["phase"]: row["predicted_s"] for row in document["phases"]}
    return {
        "step": document["step"]["predicted_s"],
        "forward": phases.get("forward", 0) + phases.get("loss", 0),
        "backward": phases.get("backward", 0),
        "optimizer": phases.get("optimizer", 0) + phases.get("zero_grad", 0),
    }


def measure_apart(hardware, name, threads, module="tests.calibration"):
    """Return what `measure` of a module returns in a process of its own, whose allocator has seen
    nothing else.
    """
    code = f"import json, sys; from {module} import measure; "
    code += "print(json.dumps(measure(*sys.argv[1:3], int(sys.argv[3]))))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(hardware), name, str(threads)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def errors(found):
    """Return predicted over measured minus 1: of the step, and of phases of 5 % of it or more."""
    measured, predicted = found["measured"], found["predicted"]
    least = 0.05 * measured["step"]
    return {key: predicted[key] / s - 1 for key, s in measured.items() if s >= least}


def within(off):
    """Return whether `errors` are accepted."""
    return abs(off["step"]) < STEP and max(map(abs, off.values())) < PHASE


def measure_twice(hardware, name, threads):
    """Return `measure_apart`; what exceeds the bounds, as other programs may cause, once more."""
    found = measure_apart(hardware, name, threads)
    return found if within(errors(found)) else measure_apart(hardware, name, threads)


def table(name, found):
    """Return the figures as lines of text."""
    off = errors(found)
    lines = [
        f"{name:16s} {key:14s} {1e3 * s:9.3f} ms {1e3 * found['predicted'][key]:9.3f} ms "
        + (f"{100 * off[key]:+7.1f} %" if key in off else "    < 5 % of the step")
        for key, s in found["measured"].items()
    ]
    for row in found["kinds"]:
        lines.append(
            f"{'':16s}   {row['kind']:14s} {row['count']:4d} {1e3 * row['measured_s']:9.3f} "
            f"{1e3 * row['predicted_s']:9.3f} {100 * (row['error'] or 0):+7.1f} %"
        )
    return "\n".join(lines)


def row(name, threads, found):
    """Return a row of the table of docs/calibrate.md: a step, its error, the worst phase."""
    off = errors(found)
    phase = max((key for key in off if key != "step"), key=lambda key: abs(off[key]))
    return (
        f"| {name} | {threads} | {1e3 * found['measured']['step']:.1f} ms | "
        f"{100 * off['step']:+.0f} % | {100 * off[phase]:+.0f} % ({phase}) |"
    )


def main():
    """Measure what the command line names, and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hardware")
    parser.add_argument("networks", nargs="*", default=NAMES)
    parser.add_argument("--threads", default="1")
    given, rows = parser.parse_args(), []
    for threads in map(int, given.threads.split(",")):
        for name in given.networks:
            found = measure_twice(given.hardware, name, threads)
            rows.append(row(name, threads, found))
            print(table(name, found), flush=True)
    head = "| network | threads | step, measured | error | worst phase |\n|---|---|---|---|---|"
    print("\n".join([head, *rows]))


if __name__ == "__main__":
    main()
