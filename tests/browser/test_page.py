"""The report page in a browser: does it say what the files say, by mouse, by keyboard, on paper?"""

import json
import math

import polars
import pytest

from tests.browser.chromium import Watched, axe, browser
from tests.builders import StepBuilder, one_step_trace
from tests.command_line import trainsoc

pytestmark = pytest.mark.browser

HOSTILE = '</script><img src=x onerror="document.title=1">&amp;<!--'
"""A name of a layer that would end the document, or run, where it was taken for markup."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run with a baseline, the same of the whole board, and a sweep, of a trace whose first layer
    has a hostile name.
    """
    home = tmp_path_factory.mktemp("page")
    builder = StepBuilder()
    x = builder.gemm(64, 128, 96, layer=HOSTILE)
    for i in range(3):
        x = builder.gemm(64, 128, 128, a=builder.elementwise(x, layer=f"act{i}"), layer=f"fc{i}")
    from simulator.trace.storage import save_trace

    save_trace(one_step_trace(builder, 5), home / "small.trace")
    run = "run", "edge-16x16", home / "small.trace", "--baseline", "cpu-only", "--samples", "8"
    sweep = (
        "sweep", "edge-16x16", home / "small.trace", "--set", "accelerator.rows=4..32:x2",
        "--set", "accelerator.cols=4..32:x2", "--require", "area <= 0.7 mm2", "--workers", "1",
    )  # fmt: skip
    board = (*run[:5], "--boundary", "board")
    for command, name in ((run, "run"), (board, "board"), (sweep, "sweep")):
        answer = trainsoc(*command, "-o", home / name)
        assert answer.returncode == 0, answer.stderr
    return home


@pytest.fixture(scope="module")
def path(folders):
    answer = trainsoc("report", folders / "run", folders / "sweep", "-o", folders / "page.html")
    assert answer.returncode == 0, answer.stderr
    return folders / "page.html"


@pytest.fixture(scope="module")
def started():
    with browser() as running:
        yield running


@pytest.fixture
def opened(started, path):
    """Open the page with options of a browser; at the end of the test it has asked for nothing."""
    pages = []

    def open_page(path=path, **options):
        pages.append((Watched(started, path, **options), path))
        return pages[-1][0]

    yield open_page
    for page, own in pages:
        page.context.close()
        assert page.requests == [own.resolve().as_uri()]
        assert page.complaints == []


def step_of(folder):
    return json.loads((folder / "step.json").read_text())


def focus_by_keyboard(page, selector, most=200):
    """Press Tab until an element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no way to {selector} by Tab")


def test_every_task_is_a_mark(opened, folders):
    tasks = len(step_of(folders / "run")["tasks"])
    others = len(step_of(folders / "run" / "baseline")["tasks"])
    assert opened().number(".lanes", "marks") == tasks + others


def test_zoom_and_keys_show_fewer_tasks_and_all_again(opened):
    page = opened()
    marks = page.number(".lanes", "marks")
    focus_by_keyboard(page.page, ".lanes")
    for _ in range(6):
        page.page.keyboard.press("+")
    assert 0 < page.number(".lanes", "marks") < marks
    page.page.keyboard.press("0")
    assert page.number(".lanes", "marks") == marks


@pytest.fixture(scope="module")
def board_path(folders):
    answer = trainsoc("report", folders / "board", "-o", folders / "board.html")
    assert answer.returncode == 0, answer.stderr
    return folders / "board.html"


def assert_recost_agrees(page, run, table):
    """What the page says at its sliders is what `recost` makes of the table that it shows."""
    page.click("text=Prices as a table for trainsoc recost")
    table.write_text(page.inner_text("#prices pre"))
    answer = trainsoc("recost", run, "--energy", table, "--json")
    assert answer.returncode == 0, answer.stderr
    energy = int(page.get_attribute("#recost", "data-aj"))
    total = json.loads(answer.stdout)["total"]
    assert energy == total["energy_aj"]
    assert math.isclose(energy / 1e18, total["energy_j"], rel_tol=1e-12)
    own = json.loads((run / "result.json").read_text())["total"]
    assert energy != own["energy_aj"]


def test_energy_at_other_prices_is_that_of_recost(opened, folders, tmp_path):
    page = opened().page
    focus_by_keyboard(page, ".sliders input")
    for key, times in (("ArrowRight", 37), ("Tab", 1), ("ArrowLeft", 55), ("Tab", 2), ("End", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    assert_recost_agrees(page, folders / "run", tmp_path / "prices.yaml")


def test_every_price_of_a_board_has_a_slider_that_recost_agrees_with(
    opened, folders, board_path, tmp_path
):
    page = opened(path=board_path).page
    sliders = page.locator(".sliders input")
    labels = page.locator(".sliders label").all_inner_texts()
    assert sum("lost in supplies" in label for label in labels) == 1
    for place in range(sliders.count()):
        sliders.nth(place).press("Home" if place % 3 else "End")
    assert_recost_agrees(page, folders / "board", tmp_path / "prices.yaml")


@pytest.mark.parametrize("name", ["run", "board"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_all_prices_at_an_end_are_the_ends_that_the_run_has(
    opened, folders, path, board_path, name, end
):
    page = opened(path=path if name == "run" else board_path).page
    page.click(f"text=All at the {end} end")
    total = json.loads((folders / name / "result.json").read_text())["total"]
    energy = int(page.get_attribute("#recost", "data-aj"))
    assert math.isclose(energy / 1e18, total[f"energy_{end}_j"], rel_tol=1e-12)


def points(folders):
    table = polars.read_parquet(folders / "sweep" / "points.parquet")
    return table.filter(table["feasible"] & (table["baseline"] == ""))


def test_a_brush_counts_the_rows_of_the_table(opened, folders):
    page = opened()
    assert page.number("#space .count", "count") == points(folders).height
    page.page.locator("#space .points").scroll_into_view_if_needed()
    box = page.page.locator("#space .points svg").bounding_box()
    page.page.mouse.move(box["x"] + 0.08 * box["width"], box["y"] + 0.05 * box["height"])
    page.page.mouse.down()
    for part in (0.2, 0.45):
        page.page.mouse.move(box["x"] + part * box["width"], box["y"] + 0.88 * box["height"])
    page.page.mouse.up()
    count = page.number("#space .count", "count")
    assert 0 < count < points(folders).height
    assert page.number("#space .designs table", "rows") == count


def test_a_constraint_is_a_line_where_its_column_is_shown(opened):
    page = opened().page
    words = "#space .points text:has-text('area <= 0.7 mm²')"
    assert page.locator(words).count() == 0
    page.select_option("#space label:has-text('across') select", label="area")
    assert page.locator(words).count() == 1
    assert page.locator("#space .points line[stroke-dasharray]").count() == 1


def test_a_filter_by_keyboard_is_that_of_the_table(opened, folders):
    page = opened()
    focus_by_keyboard(page.page, "#space select[aria-label='column to filter']", 400)
    page.page.keyboard.type("latency")
    page.page.keyboard.press("Tab")
    middle = float(points(folders)["latency_s"].median())
    page.page.keyboard.type(repr(middle))
    page.page.keyboard.press("Enter")
    count = page.number("#space .count", "count")
    assert count == points(folders).filter(polars.col("latency_s") >= middle).height
    assert page.number("#space .designs table", "rows") == count


def test_a_filter_takes_a_value_as_a_description_has_it(opened, folders):
    page = opened().page
    page.select_option("#space select[aria-label='column to filter']", label="rows")
    page.fill("#space input[aria-label='at most']", "8")
    page.click("#space button:has-text('Filter')")
    count = points(folders).filter(polars.col("accelerator.rows") <= 8).height
    assert page.get_attribute("#space .count", "data-count") == str(count)
    page.fill("#space input[aria-label='at most']", "eight")
    page.click("#space button:has-text('Filter')")
    assert "Write a number" in page.inner_text("#space [role=alert]")


def test_two_designs_are_pinned_by_keyboard(opened):
    page = opened().page
    focus_by_keyboard(page, "#space .points", 400)
    for key in ("ArrowRight", "Enter", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#space h3:has-text('Two designs')").count() == 1
    assert page.locator("#space button[aria-pressed='true']:has-text('Pinned')").count() <= 2


def test_one_selection_links_the_views(opened, folders):
    page = opened().page
    page.click("#layers td button:has-text('fc1')")
    own = [task for task in step_of(folders / "run")["tasks"] if task["layer"] == "fc1"]
    assert f"{len(own)} tasks" in page.inner_text(".chosen-bar")
    page.click("text=Tasks as a table")
    assert page.get_attribute("#timeline table", "data-rows") == str(len(own))
    assert page.locator("#roofline path.dim").count() > 0
    page.keyboard.press("Escape")
    assert page.locator(".chosen-bar").is_hidden()


def test_a_step_through_tasks_by_keyboard_says_each(opened, folders):
    page = opened().page
    focus_by_keyboard(page, ".lanes")
    page.keyboard.press("n")
    page.keyboard.press("n")
    second = step_of(folders / "run")["tasks"][1]
    assert second["op"] in page.inner_text(".chosen-bar")


def test_names_are_text_wherever_they_stand(opened):
    page = opened()
    for summary in page.page.locator("summary").all():
        summary.click()
    assert HOSTILE in page.page.inner_text("#layers")
    assert page.page.locator("img").count() == 0
    assert page.page.title() == "small on edge-16x16" or "edge-16x16" in page.page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_complaint(opened, scheme):
    page = opened(color_scheme=scheme, bypass_csp=True).page
    for summary in page.locator("summary").all():
        summary.click()
    page.click("#layers td button >> nth=0")
    page.evaluate(axe())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = {
        each["id"]: [node["html"][:160] for node in each["nodes"]] for each in found["violations"]
    }
    assert told == {}


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 320, "height": 640}},
        {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2},
    ],
    ids=["320 px", "200 %"],
)
def test_nothing_is_wider_than_a_small_screen(opened, options):
    page = opened(**options).page
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]


def test_dark_is_dark_by_the_system_and_by_the_button(opened):
    page = opened(color_scheme="dark").page
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.click("nav button:has-text('Dark')")
    light = page.evaluate(background)
    lightness = [sum(map(int, each[4:-1].split(","))) for each in (dark, light)]
    assert lightness[0] < 150
    assert lightness[1] > 700


def test_it_prints_on_few_sheets_in_light_colours(opened):
    page = opened(color_scheme="dark").page
    sheets = page.pdf(prefer_css_page_size=True, print_background=True).count(b"/Type /Page\n")
    assert 2 <= sheets <= 10
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.emulate_media(media="print")
    assert page.locator("nav.bar").is_hidden()


def test_reduced_motion_is_kept(opened):
    page = opened(reduced_motion="reduce").page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
