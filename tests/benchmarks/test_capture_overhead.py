"""What capture costs beside the training that it records. Run by `make bench`; asserts no time."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from dataclasses import asdict  # noqa: E402

from tests.benchmarks import capture_overhead as overhead  # noqa: E402
from workloads.capture import capture  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", overhead.CASES)
def test_capture_overhead(benchmark, name):
    cost = benchmark.pedantic(overhead.measure, (overhead.CASES[name],), rounds=1)
    benchmark.extra_info |= asdict(cost)
    print(f"\n{name}: {cost}")
    assert not cost.failure


def test_capture_of_many_networks(benchmark):
    many = benchmark.pedantic(overhead.measure_networks, (capture,), rounds=1)
    benchmark.extra_info |= asdict(many)
    print(f"\n{overhead.NETWORKS} networks: {many.alive} alive, {many.grown_mib:.0f} MiB more")
