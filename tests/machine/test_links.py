"""Messages over links against closed forms: time, bytes on the wire, order, loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment

from simulator.hardware.link import Link
from simulator.machine.link import SharedLink
from simulator.timing.links import packets, passage
from simulator.units import ceil_div

MS = 10**9


def link(**settings):
    """Return a link of 8 Mb/s, a byte in a microsecond, with other settings."""
    return Link.model_validate({"rate": "8 Mb/s"} | settings)


def sent(messages, **settings):
    """Return the link after `messages` of sender, receiver, bytes, all ready at 0."""
    env = Environment()
    shared = SharedLink(env, link(**settings), "seed")
    for sender, receiver, size in messages:
        shared.send(sender, receiver, size)
    env.run()
    return shared


def test_a_message_takes_its_bytes_at_the_rate_and_the_latency():
    took = passage(link(latency="2 ms", per_message="1 ms"), 1000)
    assert (took.occupied_ps, took.duration_ps) == (2 * MS, 4 * MS)


@given(st.integers(0, 10**6), st.integers(1, 1500), st.integers(0, 100))
def test_every_packet_has_its_header(size, packet, header):
    network = link(packet=f"{packet} B", header=f"{header} B")
    count = max(1, ceil_div(size, packet))
    assert packets(network, size) == count
    assert passage(network, size).wire_bytes == size + count * header


def test_goodput_of_gigabit_ethernet():
    """1460 B of payload in 1538 B on the wire: 949 Mb/s (IEEE 802.3 frame, IP and TCP headers)."""
    took = passage(link(rate="1 Gb/s", packet="1460 B", header="78 B"), 1_460_000)
    assert 8 * 1_460_000 / (took.occupied_ps / 10**12) == pytest.approx(949.3e6, rel=1e-4)


def test_energy_is_per_byte_on_the_wire_and_by_the_time_it_takes():
    network = link(packet="100 B", header="10 B", send="2 nJ", receive="1 nJ", active="5 mW")
    took = passage(network, 1000)
    assert took.active_ps == 1100 * 10**6
    assert took.send_aj == 1100 * 2 * 10**9 + 5000 * took.active_ps
    assert took.receive_aj == 1100 * 10**9 + 5000 * took.active_ps


@pytest.mark.parametrize(
    ("medium", "ends_ms"),
    [("full", [1, 1, 2]), ("half", [1, 2, 3]), ("shared", [1, 2, 3])],
)
def test_what_a_message_occupies(medium, ends_ms):
    """0 -> 1 and 1 -> 0 pass at once in full duplex alone; 2 -> 0 waits for the port of 0."""
    shared = sent([(0, 1, 1000), (1, 0, 1000), (2, 0, 1000)], medium=medium)
    assert [each.end_ps for each in shared.messages] == [n * MS for n in ends_ms]


def test_devices_that_share_nothing_do_not_wait_in_a_switched_network():
    shared = sent([(0, 1, 1000), (2, 3, 1000)], medium="half")
    assert [each.end_ps for each in shared.messages] == [MS, MS]
    shared = sent([(0, 1, 1000), (2, 3, 1000)], medium="shared")
    assert [each.end_ps for each in shared.messages] == [MS, 2 * MS]


def test_lost_packets_are_sent_again():
    """Of 100,000 packets at 20 % loss a quarter is sent again: n p / (1 - p), within 4 sigma."""
    network = {"packet": "100 B", "loss": "20 %", "retry": "1 us"}
    (message,) = sent([(0, 1, 10**7)], **network).messages
    mean, sigma = 25_000, (100_000 * 0.2) ** 0.5 / 0.8
    assert abs(message.repeats - mean) < 4 * sigma
    assert message.passage.wire_bytes == 10**7 + 100 * message.repeats
    assert message.passage.occupied_ps == message.passage.wire_bytes * 10**6 + (
        message.repeats * 10**6
    )
    assert sent([(0, 1, 10**7)], **network).messages == [message]
