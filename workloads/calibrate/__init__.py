"""Describes the CPU that this runs on, as hwconfigs do, from microbenchmarks of PyTorch on it."""

from workloads.calibrate.calibrate import calibrate

__all__ = ["calibrate"]
