"""Checks of bench. The contract is in README.md."""

import json
import random
import socket
import struct
import time
from typing import Any

import pytest

from labctl.observe.sighting import Sighting
from labctl.testing import (
    WITHIN_S,
    Lab,
    Submission,
    Tcp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8095
SERVER = ("10.0.0.2", PORT)

IDLE_S = 0.3
"""For how long at least nothing comes, in which a clock must not run."""

CLOCK = "the clock runs from the first recv() that returned bytes to the last: not from accept(), not to FIN"


def numbers(client: Tcp, count: int, hint: str) -> list[int]:
    line = client.line(expected="the server's answer", hint=hint)
    words = line.split()
    if len(words) != count or not all(word.isdigit() for word in words):
        unmet(f"{count} numbers in a line", repr(line), hint)
    return [int(word) for word in words]


def has_been_read(lab: Lab, peer: Tcp, node: str) -> bool:
    """Whether the program in that node has taken in all that the check has sent."""
    if peer.unacknowledged:
        return False
    ends = (peer.peer[1], peer.address[1])
    return not any(
        s.recv_q for s in lab[node].sockets("tcp", PORT) if (s.local_port, s.peer_port) == ends
    )


def let_it_be_read(lab: Lab, peer: Tcp, node: str = "server") -> None:
    if not until(lambda: has_been_read(lab, peer, node), WITHIN_S):
        unmet(
            f"the {node} receives what is sent", "it does not", "receive as long as something comes"
        )


class Run:
    """A client of the check's that sends pieces, each when the one before was received."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self.lab = lab
        self.sizes = [rng.randrange(1, 40_000) for _ in range(8)]
        self.bytes = 0
        self.client = lab["client"].connect(SERVER)
        self.client.send(b"SINK\n")
        let_it_be_read(lab, self.client)

    def send(self) -> None:
        """Send all pieces, and note when."""
        self.times_ns = [time.monotonic_ns()]
        for size in self.sizes:
            self.send_piece(size)

    def send_piece(self, size: int) -> None:
        """Send so many bytes more, and note when they had been received."""
        self.bytes += size
        self.client.send(bytes(size))
        let_it_be_read(self.lab, self.client)
        self.times_ns.append(time.monotonic_ns())

    def finish(self) -> tuple[int, int]:
        """Return what the server says."""
        self.client.finish()
        size, ns = numbers(self.client, 2, "after the client's FIN: BYTES NS")
        self.client.expect_end(hint="after the answer close the connection")
        return size, ns


@pytest.mark.points(2)
def test_the_server_counts_what_arrives(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server counts every byte, and the time from the first to the last"""
    submission.start("server", "bench_server", "0.0.0.0", str(PORT))
    run = Run(lab, rng)
    # While this client waits another one comes and goes; and again when it has sent its last byte.
    before_ns = measure_another(lab, rng, IDLE_S)
    run.send()
    # Where the clock may stop has to be known well, beside how long nothing came before.
    while run.times_ns[-1] - run.times_ns[-2] > before_ns // 4:
        run.send_piece(1)
    start_ns = run.times_ns[2] - run.times_ns[0]
    after_ns = measure_another(lab, rng, max(IDLE_S, 4 * start_ns / 1e9))
    size, ns = run.finish()
    expect_equal(size, run.bytes, "BYTES", "add what each recv() returns; SINK and its LF are none")
    # When the second piece was taken, the first had been counted. The last is counted soon after
    # it is taken: a clock that ran before the first or after the last is longer by all that time.
    least, most = run.times_ns[-2] - run.times_ns[2], run.times_ns[-1] - run.times_ns[0]
    expect(
        least <= ns <= most + min(before_ns, after_ns) // 2,
        expected=f"NS: {least} to {most}, from the first bytes to the last",
        actual=f"NS: {ns}",
        hint=f"in nanoseconds; {CLOCK}",
    )


def measure_another(lab: Lab, rng: random.Random, least_s: float) -> int:
    """Have another client send and go, and take at least so long; return how long, in ns."""
    started_ns = time.monotonic_ns()
    run = Run(lab, rng)
    run.send()
    run.finish()
    passed_s = (time.monotonic_ns() - started_ns) / 1e9
    time.sleep(max(least_s - passed_s, 0))
    return time.monotonic_ns() - started_ns


@pytest.mark.points(1)
def test_the_server_echoes(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the server sends every byte back, one client beside the other"""
    submission.start("server", "bench_server", "0.0.0.0", str(PORT))
    silent = lab["client"].connect(SERVER)
    silent.send(b"ECHO\n")
    let_it_be_read(lab, silent)
    client = lab["client"].connect(SERVER)
    hint = "ECHO: send back what comes, as it comes; and each client has a thread of its own"
    first = rng.randbytes(100)
    client.send(b"ECHO\n" + first)
    expect_equal(client.receive_exactly(100, hint=hint), first, "what comes back", hint)
    for size in (1, 5000, 30_000):
        data = rng.randbytes(size)
        client.send(data)
        expect_equal(client.receive_exactly(size, hint=hint), data, "what comes back", hint)
    client.finish()
    expect_equal(client.everything(hint=hint), b"", "after the client's FIN", hint)


@pytest.mark.points(1)
def test_the_server_counts_datagrams(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the server counts the datagrams of a run, also those that are waiting when END comes"""
    program = submission.start("server", "bench_server", "0.0.0.0", str(PORT))
    client = lab["client"].connect(SERVER)
    client.send(b"UDP\n")
    [port] = numbers(client, 1, "UDP: the answer is the number of the port that was bound")
    udp = lab["client"].udp(to=(SERVER[0], port))
    sizes = [rng.randrange(4, 1400) for _ in range(rng.randrange(20, 40))]
    for size in sizes[:10]:
        udp.send(bytes(size))
    # All the others and END are there when the program looks again.
    program.freeze()
    for size in sizes[10:]:
        udp.send(bytes(size))
    client.send(b"END\n")
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        raise machine_error("what was sent is not acknowledged", where="check")
    program.thaw()
    hint = "after END take what is left in the queue, and do not wait for more (MSG_DONTWAIT)"
    count, size, _ = numbers(client, 3, f"DATAGRAMS BYTES NS; {hint}")
    expect_equal((count, size), (len(sizes), sum(sizes)), "DATAGRAMS and BYTES", hint)


def result(program_stdout: bytes, keys: list[str]) -> dict[str, Any]:
    hint = "one JSON object on stdout, nothing else"
    said: Any = None
    try:
        said = json.loads(program_stdout)
    except ValueError:
        unmet("JSON on stdout", repr(program_stdout[:200]), hint)
    if not isinstance(said, dict) or set(said) != set(keys):
        unmet(f"a JSON object with {', '.join(keys)}", str(said)[:200], hint)
    return said


@pytest.mark.points(2)
def test_the_client_believes_the_receiver(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client sends N bytes, and its throughput is what the receiver says"""
    listener = lab["server"].listen(PORT)
    count = rng.randrange(100_000, 400_000)
    client = submission.start(
        "client", "bench_client", *map(str, SERVER), "-n", str(count), ready=False
    )
    server = listener.accept()
    expect_equal(server.line(hint="SINK"), b"SINK", "the first line", "SINK and LF, then the bytes")
    data = server.everything(hint="when all is sent, finish: shutdown(), so that FIN goes out")
    expect_equal(len(data), count, "bytes on the connection", "look at what send() returns")
    # Not what was sent, and not the time that it took here: who measures believes the receiver.
    received, ns = count - rng.randrange(1, 5000), rng.randrange(10**6, 10**10)
    server.send(b"%d %d\n" % (received, ns))
    ended = client.expect_exit(0, hint="exit status 0 when the result is printed")
    said = result(ended.stdout, ["sent", "received", "ns", "bps"])
    hint = "sent is what went into the socket; received and ns are the server's; bps comes of these"
    expect_equal(
        said,
        {"sent": count, "received": received, "ns": ns, "bps": 8 * received * 10**9 // ns},
        "the result",
        hint,
    )


@pytest.mark.points(2)
def test_latencies_are_sorted_out(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the client tells each latency, the least, the middle, the 99th percentile and the most"""
    listener = lab["server"].listen(PORT)
    started_ns = time.monotonic_ns()
    count, size = rng.randrange(11, 30), rng.randrange(100, 3000)
    client = submission.start(
        "client",
        "bench_client",
        *map(str, SERVER),
        *("-l", "-n", str(count), "-s", str(size)),
        ready=False,
    )
    server = listener.accept()
    hint = "ECHO and LF; then SIZE bytes, and the next only when all of them have come back"
    expect_equal(server.line(hint=hint), b"ECHO", "the first line", hint)
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received_ns, held_ns, sent_ns = [], [], []
    in_pieces, middle = rng.randrange(1, count), (count + 1) // 2
    for n in range(count):
        data = server.receive_exactly(size, expected=f"a message of {size} bytes", hint=hint)
        received_ns.append(time.monotonic_ns())
        expect_equal(
            server.unread, 0, "bytes of the next message, before this one is answered", hint
        )
        if n == in_pieces:
            # The program has taken the first part, and has seen to it, before the second comes:
            # only that is the answer's end.
            server.send(data[: size // 2])
            let_it_be_read(lab, server, "client")
            until(client.is_asleep, WITHIN_S)
            data = data[size // 2 :]
        if n == 0:
            # A clock that is not set back for the next message tells this time of each.
            time.sleep(IDLE_S)
        elif n > middle:
            # The sample in the middle is that of a message before these, and no other's.
            quick_ns = (received_ns[k + 1] - sent_ns[k - 1] for k in range(1, middle + 1))
            time.sleep(max(quick_ns) / 1e9)
        sent_ns.append(time.monotonic_ns())
        held_ns.append(sent_ns[-1] - received_ns[-1])
        server.send(data)
    ended = client.expect_exit(0, hint="exit status 0 when the result is printed")
    ended_ns = time.monotonic_ns()
    said = result(ended.stdout, ["count", "min_ns", "p50_ns", "p99_ns", "max_ns", "samples_ns"])
    samples = said["samples_ns"]
    if not isinstance(samples, list) or not all(isinstance(sample, int) for sample in samples):
        unmet("samples_ns: a list of whole numbers", str(samples)[:100], hint)
    expect_equal((said["count"], len(samples)), (count, count), "how many messages", hint)
    clock = "from before send() to after the recv() that returned the last byte, in nanoseconds"
    # Each begins when the answer before it is there, and has ended when the next message comes.
    begins_ns, ends_ns = [started_ns, *sent_ns], [*received_ns[1:], ended_ns]
    for n, sample in enumerate(samples):
        most = ends_ns[n] - begins_ns[n]
        expect(
            held_ns[n] <= sample <= most,
            expected=f"sample {n + 1}: {held_ns[n]}, as long as its answer was held, to {most}",
            actual=f"{sample}",
            hint=clock,
        )
    in_order = sorted(samples)
    wanted = {
        "min_ns": in_order[0],
        "p50_ns": in_order[-(-50 * count // 100) - 1],
        "p99_ns": in_order[-(-99 * count // 100) - 1],
        "max_ns": in_order[-1],
    }
    got = {key: said[key] for key in wanted}
    expect_equal(
        got, wanted, f"of {count} samples", "sort them; percentile p is number ceil(p * n / 100)"
    )


@pytest.mark.needs("test_the_server_counts_datagrams")
@pytest.mark.points(1)
def test_lost_datagrams_are_told(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """datagrams that are lost on the way are told, exactly"""
    submission.start("server", "bench_server", "0.0.0.0", str(PORT))
    count = rng.randrange(30, 60)
    lost = sorted(rng.sample(range(1, count + 1), rng.randrange(3, 9)))
    with lab.faults({"client->server": [{"drop": {"match": "udp", "packets": lost}}]}):
        ended = submission.run(
            "client", "bench_client", *map(str, SERVER), "-u", "-n", str(count), "-s", "200"
        )
    said = result(ended.stdout, ["sent", "received", "lost", "ns", "bps"])
    arrived = lab.packets("udp", received_by="server")
    hint = "sent is the client's count, received is the server's, lost is the difference"
    expect_equal(
        (said["sent"], said["received"], said["lost"]),
        (count, len(arrived), len(lost)),
        "sent, received and lost",
        hint,
    )
    sizes = {struct.unpack_from("!H", one.frame, 14 + 20 + 4)[0] - 8 for one in arrived}
    expect_equal(sizes, {200}, "bytes in a datagram", "-s says how many")


@pytest.mark.lab("slow_pair")
@pytest.mark.needs("test_the_server_counts_what_arrives", "test_the_client_believes_the_receiver")
@pytest.mark.points(1)
def test_the_speed_of_the_link_is_measured(lab: Lab, submission: Submission) -> None:
    """on a slow link the result is what the link carries"""
    submission.start("server", "bench_server", "0.0.0.0", str(PORT))
    size = 600_000
    off = ""
    # A machine that is busy may run a program late at the beginning or at the end.
    for _ in range(4):
        since_ns = time.time_ns()
        ended = submission.run("client", "bench_client", *map(str, SERVER), "-n", str(size))
        said = result(ended.stdout, ["sent", "received", "ns", "bps"])
        expect_equal((said["sent"], said["received"]), (size, size), "sent and received", CLOCK)
        bps = seen_bps(lab, since_ns)
        if abs(said["bps"] - bps) <= bps // 10:
            return
        off = f"{said['bps']}, when {bps} bits per second of data went over the wire"
    unmet(
        "bps within 10 % of what the wire carried",
        off,
        f"bits, not bytes; and at the receiver, {CLOCK}",
    )


def seen_bps(lab: Lab, since_ns: int) -> int:
    """Return what the receiver's interface has seen, from the first segment with data to the last."""
    seen = [
        (sighting.time_ns, size)
        for sighting in lab.packets(f"tcp dst port {PORT}", received_by="server")
        if sighting.time_ns >= since_ns and (size := data_size(sighting))
    ]
    return 8 * sum(size for _, size in seen) * 10**9 // max(seen[-1][0] - seen[0][0], 1)


def data_size(sighting: Sighting) -> int:
    """Return how many bytes of data a TCP segment over IPv4 has."""
    packet = sighting.frame[14:]
    header = (packet[0] & 0xF) * 4
    return int.from_bytes(packet[2:4], "big") - header - (packet[header + 12] >> 4) * 4
