import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.exercises.running import run, running, udp_peer

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


def collect(peer: socket.socket, count: int) -> tuple[list[bytes], tuple[str, int]]:
    """Take all requests of a burst off the socket; return them in their order."""
    received = [peer.recvfrom(100) for _ in range(count)]
    return [datagram for datagram, _ in received], received[0][1]


def answer(request: bytes) -> bytes:
    return b"TM\1\2" + request[4:] + bytes(8)


@pytest.fixture(scope="module")
def outputs() -> dict[str, list[str]]:
    """Play all cases side by side, as each of them listens for the same long while."""
    printed = {}
    with ExitStack() as stack:
        clients = {}
        for name, (order, _) in CASES.items():
            peer, address = stack.enter_context(udp_peer())
            client = running("udp-burst/time_burst_client", *address, "-n", "5", "-t", "700")
            clients[name] = stack.enter_context(client)
            requests, sender = collect(peer, 5)
            assert [request[:8] for request in requests] == [
                b"TM\1\1" + seq.to_bytes(4, "big") for seq in range(5)
            ]
            for seq in order:
                peer.sendto(answer(requests[seq]), sender)
        for name, (order, _) in CASES.items():
            printed[name] = [clients[name].line() for _ in range(len(order) + 1)]
            assert clients[name].end() == (0, "")
    return printed


@pytest.mark.parametrize("name", CASES)
def test_it_counts_what_became_of_each_request(name: str, outputs: dict[str, list[str]]) -> None:
    order, summary = CASES[name]
    *answers, last = outputs[name]
    assert [line.rpartition(" rtt_us=")[0] for line in answers] == [
        f"time seq={seq} ns=0" for seq in order
    ]
    assert last == summary


def test_what_is_no_answer_is_not_counted() -> None:
    with (
        udp_peer() as (peer, address),
        running("udp-burst/time_burst_client", *address, "-n", "1", "-t", "300") as client,
    ):
        [request], sender = collect(peer, 1)
        good = answer(request)
        for bad in (
            b"",
            good[:-1],
            good + b"x",
            b"xx" + good[2:],
            good[:2] + b"\2" + good[3:],
            good[:3] + b"\1" + good[4:],
            good[:4] + b"\0\0\0\7" + good[8:],
            good[:8] + bytes(8) + good[16:],
        ):
            peer.sendto(bad, sender)
        peer.sendto(good, sender)
        assert client.line().startswith("time seq=0 ")
        assert client.line() == "sent=1 received=1 lost=0 dup=0 reordered=0"


def answer_all(peer: socket.socket) -> int:
    """Answer until nothing comes any more; return how many answers were sent."""
    request, sender = peer.recvfrom(100)
    peer.settimeout(0.5)
    sent = 0
    while True:
        peer.sendto(answer(request), sender)
        sent += 1
        try:
            request, sender = peer.recvfrom(100)
        except TimeoutError:
            return sent


def test_a_large_burst_does_not_drown_in_its_own_answers() -> None:
    with udp_peer() as (peer, address), ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer_all, peer)
        done = run("udp-burst/time_burst_client", *address, "-n", "5000", "-t", "500")
        received = done.stdout.decode().count("time seq=")
        # A client that reads only after the last request keeps about 300 of them. All of them
        # are not asked for: the kernel may drop some while a busy machine lets the client wait.
        assert received > 0.9 * answered.result()
        assert f"sent=5000 received={received} lost={5000 - received} " in done.stdout.decode()


def test_a_refusal_is_told_from_loss() -> None:
    with udp_peer() as (_, address):
        pass
    done = run("udp-burst/time_burst_client", *address)
    assert done.returncode == 4
    assert done.stderr.endswith(b": ECONNREFUSED (Connection refused)\n")
