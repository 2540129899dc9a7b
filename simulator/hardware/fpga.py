"""An FPGA that the arrays of a SoC are made in: its name, and how much of everything it has."""

from pydantic import Field, PositiveInt

from simulator.hardware.part import Part


class Fpga(Part):
    """A part of a vendor, or the share of one that a design may use."""

    part: str = Field(description="the vendor's name of it")
    luts: PositiveInt = Field(description="look-up tables of six inputs")
    ffs: PositiveInt | None = Field(default=None, description="flip-flops; else no limit")
    dsps: PositiveInt | None = Field(default=None, description="DSP slices; else no limit")
    brams: PositiveInt | None = Field(
        default=None, description="block RAMs of 36 Kib; else no limit"
    )
