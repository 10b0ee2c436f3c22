import socket
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest

from tests.exercises.running import nobody, run, running, udp_peer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("time_burst_client")]  # played once

CASES = {
    "in order": ([0, 1, 2, 3, 4], "sent=5 received=5 lost=0 dup=0 reordered=0"),
    "backwards": ([4, 3, 2, 1, 0], "sent=5 received=5 lost=0 dup=0 reordered=4"),
    "two pairs swapped": ([1, 0, 2, 4, 3], "sent=5 received=5 lost=0 dup=0 reordered=2"),
    "two lost": ([0, 2, 4], "sent=5 received=3 lost=2 dup=0 reordered=0"),
    "doubled": ([0, 0, 1, 2, 2, 2, 3, 4], "sent=5 received=5 lost=0 dup=3 reordered=0"),
    "all of it": ([3, 1, 3, 1], "sent=5 received=2 lost=3 dup=2 reordered=2"),
    "silence": ([], "sent=5 received=0 lost=5 dup=0 reordered=0"),
}
"""Which requests the peer answers, in which order, and what the client has to say of it."""

LARGE = "5000"
"""Requests in a burst of which a client that does not read while it sends keeps about 300 answers."""


class Played(NamedTuple):
    """What came of all bursts."""

    printed: dict[str, list[str]]
    """What the client printed in each case, and after what is no answer: line by line."""
    large: str
    """What it printed of the large burst."""
    answered: int
    """How many requests of that one the peer has answered."""


def collect(peer: socket.socket, count: int) -> tuple[list[bytes], tuple[str, int]]:
    """Take all requests of a burst off the socket; return them in their order."""
    received = [peer.recvfrom(100) for _ in range(count)]
    return [datagram for datagram, _ in received], received[0][1]


def answer(request: bytes) -> bytes:
    return b"TM\1\2" + request[4:] + bytes(8)


def no_answers(request: bytes) -> list[bytes]:
    good = answer(request)
    return [
        b"",
        good[:-1],
        good + b"x",
        b"xx" + good[2:],
        good[:2] + b"\2" + good[3:],
        good[:3] + b"\1" + good[4:],
        good[:4] + b"\0\0\0\7" + good[8:],
        good[:8] + bytes(8) + good[16:],
    ]


def answer_all(peer: socket.socket, client: Future[CompletedProcess[bytes]]) -> int:
    """Answer as long as the client is there; return how many answers were sent."""
    peer.settimeout(0.05)
    sent = 0
    while not client.done():
        try:
            request, sender = peer.recvfrom(100)
        except TimeoutError:
            continue
        peer.sendto(answer(request), sender)
        sent += 1
    return sent


@pytest.fixture(scope="module")
def played() -> Played:
    """Play everything side by side, as each client listens for the same long while: 3 s."""
    printed = {}
    with ExitStack() as stack:
        clients = {}
        for name in (*CASES, "no answers"):
            peer, address = stack.enter_context(udp_peer())
            client = running("udp-burst/time_burst_client", *address, "-n", "5")
            clients[name] = stack.enter_context(client)
            requests, sender = collect(peer, 5)
            assert [request[:8] for request in requests] == [
                b"TM\1\1" + seq.to_bytes(4, "big") for seq in range(5)
            ]
            if name in CASES:
                datagrams = [answer(requests[seq]) for seq in CASES[name][0]]
            else:
                datagrams = [*no_answers(requests[0]), answer(requests[0])]
            for datagram in datagrams:
                peer.sendto(datagram, sender)
        peer, address = stack.enter_context(udp_peer())
        pool = stack.enter_context(ThreadPoolExecutor(1))
        large = pool.submit(run, "udp-burst/time_burst_client", *address, "-n", LARGE)
        answered = answer_all(peer, large)
        for name, ended in clients.items():
            assert ended.process.stdout is not None
            assert ended.end() == (0, "")
            printed[name] = ended.process.stdout.read().decode().splitlines()
    return Played(printed, large.result().stdout.decode(), answered)


@pytest.mark.parametrize("name", CASES)
def test_it_counts_what_became_of_each_request(name: str, played: Played) -> None:
    order, summary = CASES[name]
    *answers, last = played.printed[name]
    assert [line.rpartition(" rtt_us=")[0] for line in answers] == [
        f"time seq={seq} ns=0" for seq in order
    ]
    assert last == summary


def test_what_is_no_answer_is_not_counted(played: Played) -> None:
    [only, last] = played.printed["no answers"]
    assert only.startswith("time seq=0 ")
    assert last == "sent=5 received=1 lost=4 dup=0 reordered=0"


def test_a_large_burst_does_not_drown_in_its_own_answers(played: Played) -> None:
    received = played.large.count("time seq=")
    # All of them are not asked for: the kernel may drop some while a busy machine lets the client
    # wait.
    assert received > 0.9 * played.answered
    assert f"sent={LARGE} received={received} lost={int(LARGE) - received} " in played.large


def test_a_refusal_is_told_from_loss() -> None:
    with nobody("UDP") as address:
        done = run("udp-burst/time_burst_client", *address)
    assert done.returncode == 4
    assert done.stderr.endswith(b": ECONNREFUSED (Connection refused)\n")
