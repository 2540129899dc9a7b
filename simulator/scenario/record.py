"""The folder of a scenario: its result, and what ran and passed over time."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from simulator.files.json import read_document
from simulator.files.writing import write_text
from simulator.results.documents import AGAIN
from simulator.scenario.result import Row, ScenarioResult

RESULT = "scenario.json"
PLAY = "play.json"
_LATEST = 10**30
_Moment = Annotated[int, Field(ge=0, le=_LATEST)]


class JobRow(TypedDict):
    """A job that ran: times in ps from the start of the scenario."""

    program: str
    device: str
    frame: int
    ready_ps: _Moment
    start_ps: _Moment
    end_ps: _Moment


class MessageRow(TypedDict):
    """A message that passed: it occupied the link from `start_ps` for `occupied_ps`."""

    link: str
    sender: str
    receiver: str
    bytes: int
    ready_ps: _Moment
    start_ps: _Moment
    occupied_ps: _Moment
    end_ps: _Moment


class PlayDocument(TypedDict):
    """What ran on which device, and what passed over which link, when."""

    scenario: str
    duration_ps: _Moment
    jobs: list[JobRow]
    messages: list[MessageRow]


_PLAY = TypeAdapter(PlayDocument)
_RESULT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def play_document(result: ScenarioResult) -> PlayDocument:
    """Return what a scenario did over time as plain lists."""
    plan, played = result.compiled.plan, result.played
    devices, links = [each.name for each in plan.devices], [*result.compiled.scenario.links]
    return {
        "scenario": result.compiled.scenario.name,
        "duration_ps": result.duration_ps,
        "jobs": [
            {
                "program": plan.programs[job.program].name,
                "device": devices[job.device],
                "frame": job.frame,
                "ready_ps": job.ready_ps,
                "start_ps": job.start_ps,
                "end_ps": job.end_ps,
            }
            for job in played.jobs
        ],
        "messages": [
            {
                "link": name,
                "sender": devices[each.sender],
                "receiver": devices[each.receiver],
                "bytes": each.bytes,
                "ready_ps": each.ready_ps,
                "start_ps": each.start_ps,
                "occupied_ps": each.passage.occupied_ps,
                "end_ps": each.end_ps,
            }
            for name, messages in zip(links, played.messages, strict=True)
            for each in messages
        ],
    }


def save_scenario(result: ScenarioResult, directory: Path) -> None:
    """Write the result and what happened over time into `directory`."""
    write_text(directory / PLAY, json.dumps(play_document(result)) + "\n")
    write_text(directory / RESULT, json.dumps(result.as_dict(), indent=1) + "\n")


def is_scenario(directory: Path) -> bool:
    """Return whether a folder is of a scenario."""
    return (directory / RESULT).is_file()


def read_play(directory: Path) -> PlayDocument:
    """Return what happened over time; raises InputError where the file is damaged."""
    return read_document(_PLAY, directory / PLAY, AGAIN.replace("run -o", "scenario -o"))


def read_scenario(directory: Path) -> Row:
    """Return the result in `directory`; raises InputError where the file is damaged."""
    return read_document(_RESULT, directory / RESULT, AGAIN.replace("run -o", "scenario -o"))
