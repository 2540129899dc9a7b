"""Does the page of a scenario say what its files say, with a table beside each chart?"""

import json

import pytest

from tests.browser.chromium import Watched, axe, browser
from tests.command_line import trainsoc

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("scenario")
    answer = trainsoc("scenario", "split-inference", "-o", home / "split")
    assert answer.returncode == 0, answer.stderr
    answer = trainsoc("report", home / "split", "-o", home / "page.html")
    assert answer.returncode == 0, answer.stderr
    return home


@pytest.fixture(scope="module")
def started():
    with browser() as running:
        yield running


@pytest.fixture
def opened(started, folder):
    pages = []

    def open_page(**options):
        pages.append(Watched(started, folder / "page.html", **options))
        for summary in pages[-1].page.locator("summary").all():
            summary.click()
        return pages[-1].page

    yield open_page
    for page in pages:
        page.context.close()
        assert page.requests == [(folder / "page.html").resolve().as_uri()]
        assert page.complaints == []


def test_each_job_and_message_is_a_mark(opened, folder):
    play = json.loads((folder / "split" / "play.json").read_text())
    marks = opened().locator("#scenario-lanes figure rect").count()
    assert marks == len(play["jobs"]) + len(play["messages"])


def test_tables_have_the_rows_of_the_result(opened, folder):
    page, result = opened(), json.loads((folder / "split" / "scenario.json").read_text())
    for part, key in (("latency", "programs"), ("energy", "devices"), ("links", "links")):
        rows = page.locator(f"#scenario-{part} tbody tr")
        assert rows.count() == len(result[key])
        for place, row in enumerate(result[key]):
            first = rows.nth(place).locator("td").first.inner_text()
            assert first == row[{"programs": "program", "devices": "device", "links": "link"}[key]]
    assert page.locator("#scenario-lanes figure").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_complaint(opened, scheme):
    page = opened(color_scheme=scheme, bypass_csp=True)
    page.evaluate(axe())
    answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [each["id"] for each in answer["violations"]] == []


def test_nothing_is_wider_than_a_small_screen(opened):
    page = opened(viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_it_prints_on_few_sheets(opened):
    page = opened()
    sheets = page.pdf(prefer_css_page_size=True, print_background=True).count(b"/Type /Page\n")
    assert 1 <= sheets <= 6
