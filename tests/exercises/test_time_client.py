import os
import re
import socket
import time
from typing import NamedTuple

import pytest

from tests.exercises.running import Running, nobody, run, running, udp_peer
from tests.limits import LIMIT_S

PROGRAMS = ["udp-time/time_client", "udp-retry/time_client"]
"""The same client, in two exercises that are complete in themselves."""

SERVER_NS = 1_700_000_000_123_456_789
SERVER_TIME = SERVER_NS.to_bytes(8, "big")


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Asked(NamedTuple):
    """A request, and where it came from."""

    datagram: bytes
    sender: tuple[str, int]

    @property
    def seq(self) -> bytes:
        return self.datagram[4:8]

    @property
    def answer(self) -> bytes:
        return b"TM\1\2" + self.datagram[4:] + SERVER_TIME


def receive(peer: socket.socket) -> Asked:
    datagram, sender = peer.recvfrom(100)
    assert len(datagram) == 16
    assert datagram[:4] == b"TM\1\1"
    return Asked(datagram, sender)


class Printed(NamedTuple):
    """What the client says of the answer."""

    rtt_us: int
    tries: int


def printed(client: Running, asked: Asked) -> Printed:
    """Return what the client prints, after it has ended well."""
    seq = int.from_bytes(asked.seq, "big")
    line = client.line()
    found = re.fullmatch(rf"time seq={seq} ns={SERVER_NS} rtt_us=(\d+) tries=(\d+)", line)
    assert found, line
    code, _ = client.end()
    assert code == 0
    return Printed(int(found[1]), int(found[2]))


def test_it_prints_one_line_and_the_time_for_people_beside_it(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        running(program, *address, "-t", "60000") as client,
    ):
        asked = receive(peer)
        peer.sendto(asked.answer, asked.sender)
        seq = int.from_bytes(asked.seq, "big")
        assert client.line().startswith(f"time seq={seq} ns={SERVER_NS} rtt_us=")
        code, notes = client.end()
        assert code == 0
        assert re.fullmatch(r"# 2023-11-1[45] \d\d:\d\d:\d\d \S+\n", notes)


def test_a_request_without_an_answer_is_repeated_with_the_same_number(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        running(program, *address, "-t", "40", "-n", "1000") as client,
    ):
        dropped = [receive(peer), receive(peer)]
        asked = receive(peer)
        assert {request.seq for request in dropped} == {asked.seq}
        peer.sendto(asked.answer, asked.sender)
        # More on a machine so busy that a fourth try is under way.
        assert printed(client, asked).tries >= 3


def test_it_waits_as_long_as_it_was_told_before_it_repeats(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        running(program, *address, "-t", "30", "-n", "3") as client,
    ):
        # The time in the requests is the client's own: no delay on the way here spoils it.
        sent_ns = [int.from_bytes(receive(peer).datagram[8:], "big") for _ in range(3)]
        assert sent_ns[1] - sent_ns[0] >= 30_000_000
        assert sent_ns[2] - sent_ns[1] >= 60_000_000
        code, notes = client.end()
        assert code == 3
        assert notes.endswith("error: no answer\n")


def test_the_answer_to_an_earlier_try_counts_and_has_its_own_round_trip_time(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        running(program, *address, "-t", "150", "-n", "1000") as client,
    ):
        first = receive(peer)
        receive(peer)
        peer.sendto(first.answer, first.sender)
        rtt_us, tries = printed(client, first)
        assert tries >= 2
        assert rtt_us >= 150_000


def test_only_the_answer_to_its_own_request_counts(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        udp_peer() as (stranger, _),
        running(program, *address, "-t", "60000") as client,
    ):
        asked = receive(peer)
        other_seq = bytes([asked.seq[0] ^ 1]) + asked.seq[1:]
        wrong_time = (0).to_bytes(8, "big")
        stranger.sendto(asked.answer[:16] + wrong_time, asked.sender)
        for unwanted in (
            b"",
            asked.datagram,
            asked.answer[:-1],
            asked.answer + b"x",
            b"tm" + asked.answer[2:],
            asked.answer[:2] + b"\2" + asked.answer[3:],
            b"TM\1\2" + other_seq + asked.datagram[8:] + wrong_time,
            b"TM\1\2" + asked.seq + bytes(8) + wrong_time,
        ):
            peer.sendto(unwanted, asked.sender)
        peer.sendto(asked.answer, asked.sender)
        peer.sendto(asked.answer, asked.sender)
        assert printed(client, asked).tries == 1


def test_a_peer_that_talks_nonsense_does_not_hold_it_for_ever(program: str) -> None:
    with (
        udp_peer() as (peer, address),
        running(program, *address, "-t", "100", "-n", "1") as client,
    ):
        asked = receive(peer)
        deadline_s = time.monotonic() + LIMIT_S
        assert client.process.stderr is not None
        notes = b"notes"
        while notes:
            assert time.monotonic() < deadline_s
            peer.sendto(b"nonsense", asked.sender)
            notes = os.read(client.process.stderr.fileno(), 65536)
        assert client.end() == (3, "")


def test_a_refusal_is_told_from_silence(program: str) -> None:
    with nobody("UDP") as address:
        # Silence would take longer than a program may.
        done = run(program, *address, "-t", "60000")
    assert done.returncode == 4
    assert done.stdout == b""
    assert done.stderr == b"error: recv: ECONNREFUSED (Connection refused)\n"


def test_an_address_it_may_not_send_to_is_an_error(program: str) -> None:
    done = run(program, "255.255.255.255", "9")
    assert done.returncode == 1
    assert re.fullmatch(rb"error: connect: (EACCES|ENETUNREACH) \(.*\)\n", done.stderr)


@pytest.mark.parametrize("option", [("-t", "0"), ("-n", "x"), ("-n", "1001")])
def test_an_option_out_of_range_is_refused(program: str, option: tuple[str, str]) -> None:
    done = run(program, "127.0.0.1", "9", *option)
    assert done.returncode == 1
    assert done.stderr.startswith(f'error: {option[0]}: "{option[1]}" is not'.encode())
