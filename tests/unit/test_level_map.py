"""A measure over two settings as a map: does the line run where the measure has the level?"""

import pytest

from simulator.views.plots import LevelMap, draw_level_map
from simulator.views.plots.level_map import level_map


def test_a_map_has_its_line_where_the_level_is(tmp_path):
    """Of x y, the line of 6, which its label interrupts."""
    grid = [[float(x * y) for x in (1, 2, 3)] for y in (1, 2, 3)]
    shown = LevelMap("t", "n", "x", "y", "z", (1, 2, 3), (1, 2, 3), {"a": grid, "b": grid}, 6)
    line = level_map(shown).axes[0].collections[-1]
    points = [point for path in line.get_paths() for point in path.vertices]
    assert len(points) > 1
    assert all(x * y == pytest.approx(6, rel=0.05) for x, y in points)
    draw_level_map(shown, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
