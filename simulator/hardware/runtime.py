"""How work is issued and placed, and what handing it to the accelerator costs the CPU."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from simulator.hardware.part import Part
from simulator.hardware.precision import Precision
from simulator.units import BytesPerSecond, Picoseconds


class Rearrange(Part):
    """CPU time per element of a convolution's weights, on one core, to bring them from the order
    of the framework into that of the array; of a weight gradient, back. 0: not needed.
    """

    forward: Picoseconds = Field(ge=0, default=0, description="before a forward pass")
    dgrad: Picoseconds = Field(ge=0, default=0, description="before an input gradient")
    wgrad: Picoseconds = Field(ge=0, default=0, description="after a weight gradient")

    def per_element(self, role: str) -> int:
        """Return the time in ps for a product in this role."""
        return {"forward": self.forward, "dgrad": self.dgrad, "wgrad": self.wgrad}.get(role, 0)


class Handling(Part):
    """What the CPU does to a tensor on its way: so long, then bytes at this rate or the memory's,
    whichever is slower.
    """

    fixed: Picoseconds = Field(ge=0, default=0, description="of each call")
    rate: BytesPerSecond | None = Field(gt=0, default=None, description="of one core, if limited")

    @property
    def takes_time(self) -> bool:
        """Whether there is anything to it beside the traffic."""
        return bool(self.fixed or self.rate)


class Driver(Part):
    """What handing work to an accelerator costs the CPU.

    With `copies: in_out` the accelerator has buffers of its own in memory: every call loads its
    operands into them and stores its result from them. Weights are `resident` there until they
    change, or an engine takes them anew on every call (`refit`), wherever its operands lie.

    `conversions: unit` counts the traced formats in memory, interconnect and port, and the array's
    in the scratchpad. It has no price for the converter's arithmetic: a multiplication of fp32
    takes 3.7 pJ at 45 nm (Horowitz, ISSCC 2014), the four bytes of LPDDR4 beside it some 130 pJ.
    Converters of this kind: NVDLA's in its convolution DMA and output stage, the scale of
    Gemmini's `config_mvin`, DaCapo's [from memory]. They find no range, so that scales come from
    the step before (delayed scaling); sums of overlaps and of several passes stay with the CPU.
    """

    launch: Picoseconds = Field(ge=0, description="driver time of one offload, on the CPU")
    synchronise: Picoseconds = Field(ge=0, description="CPU time to notice a completion it awaits")
    switch: Picoseconds = Field(
        ge=0,
        default=0,
        description="where work goes over to the unit, and where the host uses its results again: "
        "once per change of sides, whatever the tensors, as where both have an address space",
    )
    first_call: Picoseconds = Field(ge=0, default=0, description="engine build, once per kernel")
    offload_min_macs: NonNegativeInt = Field(default=0, description="smaller GEMMs stay on the CPU")
    conversions: Literal["fused", "eager", "unit", "vector"] = Field(
        default="fused",
        description="who brings operands into the array's precision and results back. fused: a "
        "compiled driver, in a loop of the CPU each; the default, since runtimes of accelerators "
        "are compiled and few arrays read fp32. eager: a driver of PyTorch's ops, each dispatched "
        "and through memory. unit: the array's DMA engine, by scales that are known before, on "
        "the way in and out; memory holds the traced formats alone. vector: the accelerator's "
        "vector unit, operands in a loop of its own, results on their way out",
    )
    rearrange: Rearrange = Field(default_factory=Rearrange)
    copies: Literal["none", "in_out"] = Field(default="none", description="none: zero-copy")
    load: Handling = Field(default_factory=Handling, description="of an operand, with copies")
    store: Handling = Field(default_factory=Handling, description="of a result, with copies")
    weights: Literal["resident", "refit"] = "resident"
    refit: Handling = Field(default_factory=Handling, description="of weights, on every call")
    reshape: Handling = Field(
        default_factory=Handling,
        description="of a result and of a replicated operand, by the CPU on every call; results "
        "need none if it takes no time",
    )


class Rule(Part):
    """Where GEMMs run that fit all that is given; layers and ops are patterns such as `conv*`."""

    unit: str = Field(description="cpu, accelerator, or the name of a further unit")
    op: str = Field(default="*", description="torch's name of the op, such as aten.mm.default")
    phase: str = Field(default="*", description="forward, dgrad, wgrad, eval, ...")
    layer: str = Field(default="*", description="module path")
    precision: Precision | None = Field(
        default=None, description="of its products, instead of that of the trace or the method"
    )
    min_macs: NonNegativeInt = 0
    max_macs: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _an_array_computes(self) -> Self:
        if self.precision and self.unit == "cpu":
            raise ValueError(
                "precision: the CPU computes as traced: leave it out, or name an accelerator"
            )
        return self


class Share(Part):
    """A unit's share of a batch that is split."""

    unit: str = Field(description="cpu, accelerator, or the name of a further unit")
    share: PositiveInt | None = Field(default=None, description="of the sum of all shares")


class BatchSplit(Part):
    """An op whose batch several units share, each on a part of it at the same time: the images of a
    convolution, the rows of a linear layer. What a unit does not take of its part the host does.

    Results of parts need no copy. Gradients of weights, one of each part, are summed by the host.
    """

    parts: tuple[Share, ...] = Field(min_length=1, strict=False)
    shares: Literal["given", "fastest"] = Field(
        default="given",
        description="fastest: found for each op, so that parts end together if each runs alone",
    )
    op: str = Field(default="*", description="as in a rule")
    layer: str = Field(default="*", description="as in a rule")

    @model_validator(mode="after")
    def _units_differ(self) -> Self:
        units = [part.unit for part in self.parts]
        for unit in units:
            if units.count(unit) > 1:
                raise ValueError(f"parts: {unit} has two shares: give it their sum")
        return self

    @model_validator(mode="after")
    def _shares_are_given_or_found(self) -> Self:
        for part in self.parts:
            if self.shares == "fastest" and part.share is not None:
                raise ValueError(f"parts: shares are fastest: remove the share of {part.unit}")
            if self.shares == "given" and part.share is None:
                raise ValueError(f"parts: {part.unit} has no share: add it, or shares: fastest")
        return self


class Runtime(Driver):
    """How work is issued and placed, and the driver of the accelerator."""

    issue: Literal["synchronous", "in_order", "dataflow"] = "in_order"
    placement: Literal["rules", "fastest", "frugal"] = Field(
        default="rules", description="or a search for least time, or energy, that asks no rule"
    )
    rules: tuple[Rule, ...] = Field(
        default=(), strict=False, description="the first that fits; else offload_min_macs"
    )
    fusion: Literal["none", "epilogue", "chains"] = Field(
        default="none",
        description="epilogue: what follows a product rides on it, where a vector unit can compute "
        "it; chains: runs of ops over elements are one loop besides, on whichever unit; on the CPU "
        "that is compiled code, which costs what cpu.compiled says, if it does",
    )
    split: tuple[BatchSplit, ...] | None = Field(
        default=None, strict=False, description="the first that fits goes before all rules"
    )
    governor: Literal["fixed", "energy", "edp", "time"] | None = Field(
        default=None,
        description="of operating points: for forward, backward, optimizer and loop those of CPU "
        "and accelerator with least energy, energy x time, or time; else clocks are fixed",
    )
    clock_switch: Picoseconds | None = Field(
        ge=0,
        default=None,
        description="per change of clocks by the governor; 100 us if not given (guess, 10 us .. "
        "1 ms): lock of the PLL, ramp of the regulator",
    )
