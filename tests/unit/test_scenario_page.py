"""Does the page of a scenario say what its folder says, job by job?"""

from hypothesis import given
from hypothesis import strategies as st

from simulator.views.page.scenario_section import scenario_section

END = 10**6
_SPANS = st.lists(st.lists(st.integers(0, END), min_size=3, max_size=3).map(sorted), min_size=1)


def _play(spans):
    jobs = [
        {"program": "p", "device": "d", "frame": n, "ready_ps": a, "start_ps": b, "end_ps": c}
        for n, (a, b, c) in enumerate(spans)
    ]
    message = {
        "link": "radio", "sender": "d", "receiver": "d", "bytes": 1, "ready_ps": 10,
        "start_ps": 30, "occupied_ps": 5, "end_ps": 40,
    }  # fmt: skip
    return {"scenario": "s", "duration_ps": END, "jobs": jobs, "messages": [message]}


def _result():
    total = {
        "duration_s": 1.0, "busiest": "d", "energy_j": 1.0, "average_power_w": 1.0
    }  # fmt: skip
    source = {
        "source": "p", "frames": 1, "frames_per_s": 1.0, "bound_per_s": 2.0, "latency_p95_s": 0.5
    }  # fmt: skip
    rows = {key: [] for key in ("programs", "devices", "links", "rounds")}
    names = {"scenario": "s", "provenance": {"command": "trainsoc scenario s"}}
    return {**names, "total": total, "sources": [source], **rows}


@given(_SPANS)
def test_lanes_have_every_job_and_queues_all_waiting(spans):
    section = scenario_section(_play(spans), _result())
    device, link = section["lanes"]
    assert sum(device["count"]) == len(spans)
    for _, start, end in spans:
        marks = zip(device["start"], device["end"], strict=True)
        assert any(low <= start and end <= high for low, high in marks)
    assert (link["start"], link["end"], link["what"]) == ([30], [35], "message")
    waited = sum(b - a for a, b, _ in spans)
    assert _area(section["queues"].get("d"), END) == waited
    assert _area(section["queues"]["link radio"], END) == 20


def _area(levels, end):
    if levels is None:
        return 0
    ends = [*levels["at"][1:], end]
    return sum(
        value * (stop - start)
        for start, stop, value in zip(levels["at"], ends, levels["value"], strict=True)
    )
