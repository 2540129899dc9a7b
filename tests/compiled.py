"""What compiling saves on this machine, and what fusion is predicted to save.

python -m tests.compiled HOST.yaml [NETWORK...] trains each network in a process of its own, eagerly
and under `torch.compile` (inductor, which needs a C++ compiler), one in turn with the other, and
prints the ratio of both forward and backward passes beside that of `runtime.fusion: chains` to
`none` on HOST.yaml, a description by `trainsoc calibrate --compiled`. The optimizer stays eager, so
it is left out. No calibration runs any of them; the code that inductor makes of the first six has
shown what a description needs, the others were only measured.
"""

import argparse
import time
from statistics import median

from tests.calibration import measure_apart, networks

NAMES = (
    "mlp_1024", "lenet_digits", "resnet20_digits", "encoder", "mobilenet_v2", "vit_tiny",
    "cnn1x", "resnet18", "gelu_encoder",
)  # fmt: skip
ROUNDS = 15
PHASES = ("forward", "loss", "dgrad", "wgrad")


def further():
    """Return three networks more, as `networks` does."""
    import torch
    from torch import nn

    from workloads.models.cnn1x import cnn1x_cifar10
    from workloads.models.resnet import resnet18

    def momentum(parameters):
        return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)

    def encoder():
        layer = nn.TransformerEncoderLayer(
            192, 6, 768, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        return nn.Sequential(nn.Embedding(500, 192), body, nn.Linear(192, 500), nn.Flatten(0, 1))

    def images(count, size):
        return torch.rand(count, 3, size, size), torch.randint(10, (count,))

    tokens = torch.randint(500, (8, 64)), torch.randint(500, (8 * 64,))
    return {
        "cnn1x": (cnn1x_cifar10, momentum, images(32, 32)),
        "resnet18": (resnet18, momentum, images(8, 64)),
        "gelu_encoder": (encoder, momentum, tokens),
    }


def measure(hardware, name, threads):
    """Return measured and predicted seconds of both passes, eager and compiled."""
    import torch

    from simulator import simulate
    from simulator.hardware import load_hardware
    from workloads.capture import capture
    from workloads.capture.memory import settle_heap

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    settle_heap()
    make, optimizer_of, (inputs, labels) = (networks() | further())[name]
    model = make()
    optimizer, loss_of = optimizer_of(model.parameters()), torch.nn.CrossEntropyLoss()
    ways = {"eager": model, "compiled": torch.compile(model)}

    def passes(network):
        optimizer.zero_grad()
        start = time.perf_counter()
        loss_of(network(inputs), labels).backward()
        return time.perf_counter() - start

    for network in ways.values():
        for _ in range(4):
            passes(network)
    rounds = [{way: passes(network) for way, network in ways.items()} for _ in range(ROUNDS)]
    measured = {way: median(each[way] for each in rounds) for way in ways}
    with capture(model, optimizer, steps=2, name=name) as recording:
        for _ in range(2):
            passes(model)
            optimizer.step()
    fusion = {"eager": "none", "compiled": "chains"}
    predicted = {}
    for way, mode in fusion.items():
        host = load_hardware(hardware, {"cpu.cores": threads, "runtime.fusion": mode})
        phases = {row["phase"]: row for row in simulate(host, recording.trace).phases}
        steps = sum(segment.count for segment in recording.trace.segments)
        total = sum(phases[phase]["latency_s"] for phase in PHASES if phase in phases)
        predicted[way] = total / steps
    return {"measured": measured, "predicted": predicted}


def row(name, threads, found):
    """Return a row of the table: both passes eager, and what compiling takes of that."""
    measured, predicted = found["measured"], found["predicted"]
    ratios = [each["compiled"] / each["eager"] for each in (measured, predicted)]
    return (
        f"| {name} | {threads} | {1e3 * measured['eager']:.2f} ms | "
        f"{1e3 * predicted['eager']:.2f} ms | {ratios[0]:.2f} | {ratios[1]:.2f} | "
        f"{100 * (ratios[1] / ratios[0] - 1):+.0f} % |"
    )


def main():
    """Measure what the command line names, and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hardware")
    parser.add_argument("networks", nargs="*", default=NAMES)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print("| network | threads | eager | predicted | compiled / eager | predicted | error |")
    print("|---|---|---|---|---|---|---|")
    for name in given.networks:
        found = measure_apart(given.hardware, name, given.threads, "tests.compiled")
        print(row(name, given.threads, found), flush=True)


if __name__ == "__main__":
    main()
