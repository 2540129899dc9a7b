"""Published measurements, reproduced row by row within the bounds that this product promises."""

import pytest

from tests import accuracy, validation
from tests.validation import Pair, least_mape, mape, summed_map


def differing(pairs: tuple[Pair, ...]) -> list[str]:
    return [pair.name for pair in pairs if pair.predicted != pair.measured]


def test_every_product_takes_the_cycles_of_scalesim():
    pairs = validation.scalesim("gemm")
    assert len(pairs) == 301
    assert differing(pairs) == []


def test_every_convolution_takes_the_cycles_of_scalesim():
    pairs = validation.scalesim("conv")
    assert len(pairs) == 87
    assert differing(pairs) == []


def test_scalesim_counts_one_output_more_where_the_stride_does_not_divide():
    """18 rows have such a stride; in 4 of them the larger output fills the same folds."""
    assert len(differing(validation.scalesim("conv", output_size="floor"))) == 14


def test_tpu_v3_products_and_convolutions():
    pairs = validation.tpu_v3()
    assert len(pairs) == 8
    assert mape(pairs) <= 0.15


def test_tpu_v6e_products():
    pairs = validation.tpu_v6e()
    assert len(pairs) == 227
    assert mape(pairs) <= 0.10


def dacapo(name: str) -> float:
    return abs(next(pair.error for pair in validation.dacapo() if pair.name == name))


@pytest.mark.parametrize(("precision", "bound"), [("mx4", 0.01), ("mx6", 0.05), ("mx9", 0.10)])
def test_dacapo_with_all_rows(precision, bound):
    assert dacapo(f"{precision} 16") <= bound


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("precision", ["mx4", "mx6", "mx9"])
def test_dacapo_with_few_rows(precision, count):
    assert dacapo(f"{precision} {count}") <= 0.015


def test_gemmini_under_its_own_tiling():
    pairs = validation.gemmini_default()
    assert len(pairs) == 42
    assert mape(pairs) <= 0.15
    assert all(0.5 <= pair.predicted / pair.measured <= 2 for pair in pairs)


def test_the_edge_array_is_gemmini_s_where_it_has_gemmini_s_library():
    pairs = validation.edge_with_gemmini_s_library()
    assert len(pairs) == 42
    assert mape(pairs) <= 0.15
    assert abs(validation.bias(pairs)) <= 0.05


@pytest.mark.parametrize("column", ["gemmini_layers", "gemmini_mapped"])
def test_gemmini_layers_under_both_mappings(column):
    pairs = getattr(validation, column)()
    assert len(pairs) == 133
    assert mape(pairs) <= 0.15


def test_gemmini_behind_the_cache_of_another_soc():
    pairs = validation.gemmini_elsewhere()
    assert len(pairs) == 54
    assert mape(pairs) <= 0.15
    assert abs(sum(p.predicted for p in pairs) / sum(p.measured for p in pairs) - 1) <= 0.08


def test_residual_sums_behind_that_cache():
    pairs = validation.residual_adds()
    assert len(pairs) == 16
    assert mape(pairs) <= 0.20
    floor = least_mape(pairs, summed_map)
    assert f"at least {100 * floor:.1f} %" in next(
        row.others for row in accuracy.HARDWARE if row.pairs is validation.residual_adds
    )


def test_no_time_per_size_of_map_errs_less_on_the_residual_sums():
    """Two maps ran at two speeds: a fine grid of times finds no less than the corners do."""
    pairs = validation.residual_adds()
    sizes = {summed_map(pair) for pair in pairs}
    assert len({(summed_map(pair), pair.predicted) for pair in pairs}) == len(sizes) == 4
    total = 0.0
    for size in sizes:
        times = [pair.measured for pair in pairs if summed_map(pair) == size]
        low, high = int(min(times)) - 1, int(max(times)) + 1
        total += min(sum(abs(t / each - 1) for each in times) for t in range(low, high + 1))
    assert least_mape(pairs, summed_map) == pytest.approx(total / len(pairs), rel=1e-3)


def test_dacapo_is_complete():
    assert len(validation.dacapo()) == 12
