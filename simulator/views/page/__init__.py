"""The report page: one HTML file that asks nothing of a network."""

from simulator.views.page.documents import PageDocument, RunSection, SpaceSection
from simulator.views.page.folder import read_runs, simulated_changes
from simulator.views.page.html import page_html, write_page
from simulator.views.page.run_section import RunFolder, run_section
from simulator.views.page.scenario_section import read_scenario_section, scenario_section
from simulator.views.page.whole import page_document

__all__ = [
    "PageDocument",
    "RunFolder",
    "RunSection",
    "SpaceSection",
    "page_document",
    "page_html",
    "read_runs",
    "read_scenario_section",
    "run_section",
    "scenario_section",
    "simulated_changes",
    "write_page",
]
