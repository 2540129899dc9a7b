"""A link between devices, as described: what a message takes and costs at its two ends."""

from typing import Literal

from pydantic import Field

from simulator.hardware.part import Part
from simulator.units import Attojoules, BitsPerSecond, Bytes, Microwatts, Permille, Picoseconds


class Link(Part):
    """A network that devices share.

    A message is cut into packets of `packet` bytes, each with `header` bytes around it, and leaves
    at `rate`; `per_message` precedes it at its sender, and it arrives `latency` later. Where the
    medium is `full`, a device sends and receives at once; where it is `half`, one or the other;
    one that is `shared` carries a single message at a time. Of the packets `loss` get lost: each
    is sent again after `retry`.

    Energy: per byte on the wire, headers and repeats included, at the end that sends and the one
    that receives; `active` at each of them while a message is on the wire; `idle` at each device
    all the time.
    """

    description: str = ""
    rate: BitsPerSecond = Field(gt=0)
    latency: Picoseconds = Field(default=0, ge=0)
    per_message: Picoseconds = Field(default=0, ge=0)
    packet: Bytes = Field(default=0, ge=0)
    header: Bytes = Field(default=0, ge=0)
    medium: Literal["full", "half", "shared"] = "full"
    loss: Permille = Field(default=0, ge=0, lt=1000)
    retry: Picoseconds = Field(default=0, ge=0)
    send: Attojoules = Field(default=0, ge=0)
    receive: Attojoules = Field(default=0, ge=0)
    active: Microwatts = Field(default=0, ge=0)
    idle: Microwatts = Field(default=0, ge=0)
