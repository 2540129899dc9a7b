"""The profiles of links that ship: does every number have a source, and meet known rates?"""

import pytest

from simulator.files.yaml import read_document
from simulator.hardware.link import Link
from simulator.hardware.shipped import CONFIGS, link_profiles
from simulator.hardware.stated import stated
from simulator.scenario.load import read_link
from simulator.timing.links import passage
from simulator.units import PS_PER_S

MEGABYTE = 10**6


def profile(name: str) -> Link:
    return Link.model_validate(read_link(name))


def goodput(name: str, size: int = 100 * MEGABYTE) -> float:
    """Return the bits per second of payload in one long message."""
    return size * 8 * PS_PER_S / passage(profile(name), size).occupied_ps


def test_the_profiles():
    assert set(link_profiles()) >= {
        "ethernet-100", "ethernet-1000", "wifi", "wifi-5", "ble", "lte", "lora", "usb-2", "usb-3"
    }  # fmt: skip


@pytest.mark.parametrize("name", link_profiles())
def test_every_number_of_a_profile_has_a_source_and_every_guess_a_range(name):
    document = read_document(CONFIGS / "links" / f"{name}.yaml", "ethernet-1000.yaml")
    description = stated(Link, document.content, document.comments)
    link = profile(name)
    numbers = {key for key in link.model_fields_set if isinstance(getattr(link, key), int)}
    constants = {each.path: each for each in description.constants}
    assert not description.mistakes
    assert {path for path, each in constants.items() if len(each.source) > 3} == numbers
    unsure = [each for each in constants.values() if each.kind in ("guess", "fitted")]
    assert [each.path for each in unsure if not each.is_uncertain] == []
    assert all(getattr(link, path) == each.value for path, each in constants.items())
    assert link.description


@pytest.mark.parametrize(
    ("name", "bits_per_s"),
    [
        ("ethernet-1000", 949.28e6),  # 1460 of 1538 bytes
        ("ethernet-100", 94.928e6),
        ("wifi", 18.88e6),  # Huang et al., as measured
        ("lte", 5.85e6),
        ("ble", 0.7808e6),  # 244 B in 2500 us
        ("lora", 35.8e3),  # 255 B in 433 + 12.25 symbols of 128 us (SX1276 datasheet, time on air)
        ("usb-2", 10 * 512 * 8 * 8000),  # 10 packets in each of 8000 microframes a second
        ("usb-3", 400e6 * 8),
    ],
)
def test_long_messages_reach_the_known_rate(name, bits_per_s):
    assert goodput(name) == pytest.approx(bits_per_s, rel=3e-3)


def test_a_usb_packet_takes_no_less_than_the_bus_allows():
    """USB 2.0, table 5-10: 13 packets of 512 B in a microframe of 125 us, 53.248 MB/s."""
    document = read_document(CONFIGS / "links" / "usb-2.yaml", "usb-3.yaml")
    constants = stated(Link, document.content, document.comments).constants
    header = next(each for each in constants if each.path == "header")
    per_microframe = 480e6 / 8 * 125e-6
    assert per_microframe / (512 + header.low) == pytest.approx(13, rel=1e-3)
    assert per_microframe / (512 + header.high) == pytest.approx(8, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "milliwatts_per_mbps", "base"), [("wifi", 283.17, 132.86), ("lte", 438.39, 1288.04)]
)
def test_sending_draws_what_was_measured(name, milliwatts_per_mbps, base):
    """Huang et al.: power while sending = slope x throughput + base."""
    link, size = profile(name), 10 * MEGABYTE
    took = passage(link, size)
    measured_mw = milliwatts_per_mbps * link.rate / 1e6 + base
    assert took.send_aj / took.active_ps / 1000 == pytest.approx(measured_mw, rel=1e-6)
