"""Passes: pure rewrites of a step (`Step -> Step`) that a training method or a machine asks for."""
