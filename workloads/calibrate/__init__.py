"""Describes this machine's CPU in the form of hwconfigs, from microbenchmarks of PyTorch."""

from workloads.calibrate.calibrate import calibrate

__all__ = ["calibrate"]
