"""The JSON schema of descriptions: it takes what ships, and refuses what the reader refuses."""

import json

import pytest
from jsonschema import Draft202012Validator

from simulator.errors import InputError
from simulator.files.yaml import read_yaml
from simulator.hardware.load import load_hardware
from simulator.hardware.schema import description_schema
from simulator.hardware.shipped import CONFIGS, EXAMPLE, hardware_names
from tests.command_line import trainsoc

SCHEMA = description_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_command_line_prints_it():
    assert json.loads(trainsoc("show", "--schema").stdout) == SCHEMA


@pytest.mark.parametrize("name", hardware_names())
def test_it_takes_what_ships(name):
    content = read_yaml(CONFIGS / f"{name}.yaml", EXAMPLE)
    assert [f"{[*each.path]}: {each.message:.200}" for each in VALIDATOR.iter_errors(content)] == []


@pytest.mark.parametrize("name", [path.stem for path in (CONFIGS / "cpus").glob("*.yaml")])
def test_it_takes_the_cpus_that_ship(name):
    content = {"cpu": read_yaml(CONFIGS / "cpus" / f"{name}.yaml", EXAMPLE)}
    assert not [*VALIDATOR.iter_errors(content)]


@pytest.mark.parametrize(("text", "is_fine"), [
    ("accelerator: {rows: 32}", True),
    ("accelerator: {rws: 32}", False),
    ("accelerator: {rows: many}", False),
    ("accelerator: {clock: 1 GHz}", True),
    ("accelerator: {clock: 1 s}", False),
    ("accelerator: {clock: 1000000}", False),
    ("accelerator: {clock: {value: 1 GHz, range: x0.5 .. x2}}", True),
    ("accelerator: {clock: {valu: 1 GHz}}", False),
    ("accelerator: {overlap: sometimes}", False),
    ("accelerator: null", True),
    ("cpu: {base: cortex-a76, cores: 2}", True),
    ("cpu: {core: fast}", False),
    ("dram: {preset: DDR9}", False),
    ("units: {npu: {kind: measured, kernels: [], scratchpad: 3 B}}", False),
    ("runtime: {rules: [{unit: cpu, layer: fc*}]}", True),
    ("runtime: {rules: [{unit: cpu, layr: fc*}]}", False),
    ("runtme: {}", False),
])  # fmt: skip
def test_it_agrees_with_the_reader(tmp_path, text, is_fine):
    path = tmp_path / "soc.yaml"
    path.write_text(f"base: edge-16x16\n{text}\n")
    assert VALIDATOR.is_valid(read_yaml(path, EXAMPLE)) is is_fine
    try:
        load_hardware(path)
    except InputError:
        assert not is_fine
    else:
        assert is_fine
