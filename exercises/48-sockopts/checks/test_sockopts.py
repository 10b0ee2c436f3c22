"""Checks of sockopts. The contract is in README.md."""

import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sockdiag

from labctl.observe.sighting import Sighting
from labctl.testing import (
    WITHIN_S,
    Lab,
    Listener,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8080
SERVER = ("10.0.1.1", PORT)
CLIENT1 = "10.0.1.2"

FIRST_SYN = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
MSS_OPTION = 2


def start(lab: Lab, submission: Submission) -> tuple[Program, Listener]:
    listener = lab["server"].listen(PORT)
    return submission.start("client1", "sockopts", *map(str, SERVER), ready=False), listener


def tell(program: Program, command: str, wanted: str, hint: str) -> None:
    """Give a command and compare the answer with the right one."""
    expect_equal(program.ask(command, hint=hint), wanted, f'the answer to "{command}"', hint)


def connect(program: Program, listener: Listener) -> Tcp:
    tell(program, "connect", "ok", "connect() to the ADDRESS and PORT of the command line")
    return listener.accept()


def a_number(program: Program, command: str, hint: str) -> int:
    answer = program.ask(command, hint=hint)
    if not answer.isdecimal():
        unmet(f'a number as the answer to "{command}"', answer, hint)
    return int(answer)


@pytest.mark.points(2)
@pytest.mark.parametrize("name", ["rcvbuf", "sndbuf"])
@pytest.mark.parametrize("asked", ["something", "too little", "too much"])
def test_buffers_are_what_the_kernel_made_of_them(
    lab: Lab, submission: Submission, rng: random.Random, name: str, asked: str
) -> None:
    """a buffer is as large as the kernel has made it, and `get` says so"""
    file = {"rcvbuf": "rmem_max", "sndbuf": "wmem_max"}[name]
    most = int(Path("/proc/sys/net/core", file).read_text())
    something = rng.randrange(5000, 50_000)
    size = {"something": something, "too little": 1, "too much": 2**31 - 1}[asked]
    program, listener = start(lab, submission)
    tell(program, f"set {name} {size}", "ok", "setsockopt() with SOL_SOCKET; one int is its value")
    server = connect(program, listener)
    port = server.peer[1]

    hint = "ask the kernel with getsockopt(), and print what it says; it need not be what you set"
    said = a_number(program, f"get {name}", hint)
    made = sockdiag.knobs(lab, "client1", port)
    is_there = made.rcvbuf if name == "rcvbuf" else made.sndbuf
    expect_equal(said, is_there, f"`get {name}` after `set {name} {size}`", hint)
    right = {
        "something": is_there == 2 * something,
        # The least is the kernel's own affair (2304 and 4608 on x86-64), and more than 1.
        "too little": 1 < is_there < 2 * 5000,
        "too much": is_there == 2 * most,
    }[asked]
    expect(
        right,
        expected=f"the kernel's buffer after `set {name} {size}`: doubled, and within its bounds",
        actual=f"it is {is_there}",
        hint="hand the number over as it was typed: the kernel doubles it, and net.core."
        f"{file} bounds it before",
    )


def ip(lab: Lab, *words: str) -> None:
    ended = lab["client1"].run("ip", *words)
    if ended.exit_status:
        raise machine_error(f"ip {' '.join(words)}: {ended.stderr.decode()}", where="check")


@contextmanager
def acks_held(lab: Lab) -> Iterator[None]:
    """Have what the server's kernel answers wait on its way for the length of a ``with`` block."""
    hold = {"match": f"tcp src port {PORT}", "until": {"match": "udp dst port 9"}}
    with lab.faults({"server->client1": [{"hold": hold}]}) as armed:
        try:
            yield
        finally:
            # What lets them go has to come behind them.
            if until(lambda: armed.rules()[0].fired, WITHIN_S):
                lab["server"].udp(to=(CLIENT1, 9)).send(b"")


@pytest.mark.points(2)
@pytest.mark.parametrize("nodelay", [False, True], ids=["nodelay 0", "nodelay 1"])
def test_nagle_is_seen_on_the_wire(lab: Lab, submission: Submission, nodelay: bool) -> None:
    """`nodelay` decides whether a small segment waits for the ACK of the one before"""
    # Only an ACK may move what waits: no tail loss probe after 0.2 s of silence, and nothing sent
    # again, which would also close the congestion window to what comes after.
    lab["client1"].set("net.ipv4.tcp_early_retrans", "0")
    ip(lab, "route", "add", SERVER[0], "dev", "veth_c1", "rto_min", "60s")
    program, listener = start(lab, submission)
    server = connect(program, listener)
    hint = (
        "TCP_NODELAY is of the level IPPROTO_TCP, not SOL_SOCKET; 1 switches Nagle's algorithm off"
    )
    tell(program, "set nodelay 1", "ok", hint)
    if not nodelay:
        tell(program, "set nodelay 0", "ok", hint)
    is_moving = True
    with acks_held(lab):
        for number in range(1, 6):
            tell(program, "send 1", "1", "one send() for each command, and at once")
            # The first byte is on its way in either case; the others only with TCP_NODELAY.
            if is_moving and (nodelay or number == 1):
                is_moving = bool(until(lambda n=number: server.unread >= n, WITHIN_S))
    # Now the ACK has come, and what has waited for it is sent.
    got = server.receive_exactly(5, expected="the 5 bytes that were sent", hint=hint)
    expect_equal(got, b"xxxxx", "what was sent", "`send N` sends N times the byte x")
    sizes = first_sizes(lab)
    wanted = [1, 1, 1, 1, 1] if nodelay else [1, 4]
    expect_equal(
        sizes, wanted, f"bytes in the segments of five `send 1`, nodelay {int(nodelay)}", hint
    )


def first_sizes(lab: Lab) -> list[int]:
    """Return the sizes of the segments with data, each as it was sent for the first time."""
    sizes: dict[int, int] = {}
    for sighting in lab.packets(f"tcp dst port {PORT}", sent_by="client1"):
        sequence, size = data_of(sighting)
        if size:
            sizes.setdefault(sequence, size)
    return [sizes[sequence] for sequence in sorted(sizes)]


def data_of(sighting: Sighting) -> tuple[int, int]:
    """Return the sequence number of a TCP segment over IPv4, and how many bytes of data it has."""
    packet = sighting.frame[14:]
    header = (packet[0] & 0xF) * 4
    segment = packet[header : int.from_bytes(packet[2:4], "big")]
    return int.from_bytes(segment[4:8], "big"), len(segment) - (segment[12] >> 4) * 4


@pytest.mark.points(1)
def test_maxseg_is_in_the_syn(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """`maxseg` set before connecting is in the SYN, and what remains for data is less"""
    size = rng.randrange(600, 1200)
    program, listener = start(lab, submission)
    hint = "TCP_MAXSEG is of the level IPPROTO_TCP; set it on the socket that connects"
    tell(program, f"set maxseg {size}", "ok", hint)
    connect(program, listener)
    [syn, *_] = lab.packets(FIRST_SYN, sent_by="client1")
    expect_equal(announced(syn), size, "the MSS option of the SYN", hint)
    # 12 bytes of every segment are the timestamps.
    with_timestamps = size - 12
    tell(program, "get maxseg", str(with_timestamps), "print what getsockopt() says now")


def announced(syn: Sighting) -> int:
    """Return the MSS option of a SYN; 0 where there is none."""
    segment = syn.frame[14 + (syn.frame[14] & 0xF) * 4 :]
    options = segment[20 : (segment[12] >> 4) * 4]
    while options and options[0] != 0:
        if options[0] == MSS_OPTION:
            return int(struct.unpack_from("!H", options, 2)[0])
        options = options[1:] if options[0] == 1 else options[options[1] :]
    return 0


@pytest.mark.points(1)
def test_a_receive_timeout_is_eagain(lab: Lab, submission: Submission) -> None:
    """with `rcvtimeo` a recv() without bytes ends with EAGAIN, and the connection is as before"""
    program, listener = start(lab, submission)
    server = connect(program, listener)
    hint = (
        "SO_RCVTIMEO takes a struct timeval: seconds and microseconds; in Python "
        'struct.pack("ll", …), as settimeout() is another thing'
    )
    tell(program, "get rcvtimeo", "0", "0 is for ever, and how every socket begins")
    tell(program, "set rcvtimeo 2500", "ok", hint)
    rounded = a_number(program, "get rcvtimeo", hint)
    expect(
        2500 <= rounded <= 2510,
        expected="`get rcvtimeo`: 2500, or a little more",
        actual=f"{rounded}",
        hint=hint,
    )
    tell(program, "set rcvtimeo 50", "ok", hint)
    # The kernel counts in ticks, of at most 10 ms, and rounds up.
    rounded = a_number(program, "get rcvtimeo", hint)
    expect(
        50 <= rounded <= 60,
        expected="`get rcvtimeo`: 50, or a little more",
        actual=f"{rounded}",
        hint=hint,
    )
    tell(program, "recv 10", "error EAGAIN", hint)
    server.send(b"hello")
    if not until(lambda: server.unacknowledged == 0, WITHIN_S):
        raise machine_error("what was sent is not acknowledged", where="check")
    tell(program, "recv 10", "5", "a timeout is no end: the same socket goes on")


@pytest.mark.points(1)
def test_keepalive_runs(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """`keepalive` starts the kernel's timer, with the idle time that was asked for"""
    idle, interval, count = rng.randrange(300, 7000), rng.randrange(20, 70), rng.randrange(2, 100)
    program, listener = start(lab, submission)
    hint = (
        "SO_KEEPALIVE switches it on (SOL_SOCKET); TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT say "
        "how (IPPROTO_TCP), in seconds"
    )
    tell(program, "get keepalive", "off", "off is how every socket begins")
    server = connect(program, listener)
    port = server.peer[1]
    tell(program, f"set keepalive {idle} {interval} {count}", "ok", hint)
    tell(program, "get keepalive", f"{idle} {interval} {count}", hint)
    probe_in_ms = sockdiag.knobs(lab, "client1", port).probe_in_ms
    expect(
        probe_in_ms is not None and 0 <= idle * 1000 - probe_in_ms < 60_000,
        expected=f"the keepalive timer goes off in {idle} s",
        actual="it does not run" if probe_in_ms is None else f"in {probe_in_ms / 1000:g} s",
        hint=hint,
    )
    tell(program, "set keepalive off", "ok", hint)
    tell(program, "get keepalive", "off", hint)
    expect_equal(
        sockdiag.knobs(lab, "client1", port).probe_in_ms,
        None,
        "the timer after `set keepalive off`",
        "SO_KEEPALIVE is switched off with 0",
    )


@pytest.mark.points(1)
@pytest.mark.parametrize("linger", ["0", "off"])
def test_linger_0_closes_with_rst(lab: Lab, submission: Submission, linger: str) -> None:
    """`linger 0` makes `close` a reset; otherwise it is FIN"""
    program, listener = start(lab, submission)
    server = connect(program, listener)
    hint = "SO_LINGER takes a struct linger, two ints: on or off, and seconds; on with 0 is RST"
    tell(program, "set linger 0", "ok", hint)
    tell(program, "get linger", "0", hint)
    if linger == "off":
        tell(program, "set linger off", "ok", hint)
        tell(program, "get linger", "off", "off is not the same as on with 0 seconds")
    tell(program, "close", "ok", "close the socket")
    wanted = "ECONNRESET" if linger == "0" else ""
    expect_equal(
        server.error() or "FIN", wanted or "FIN", f"what the server sees, linger {linger}", hint
    )


@pytest.mark.points(1)
def test_an_error_is_told_once(lab: Lab, submission: Submission) -> None:
    """`get error` has the pending error, once: then it is gone, and recv() sees an end"""
    program, listener = start(lab, submission)
    server = connect(program, listener)
    port = server.peer[1]
    tell(program, "get error", "0", "SO_ERROR is 0 where nothing is wrong")
    server.reset()
    gone = until(
        lambda: not any(s.local_port == port for s in lab["client1"].sockets("tcp", port)), WITHIN_S
    )
    if not gone:
        raise machine_error("the RST has not arrived", where="check")
    hint = "getsockopt() with SO_ERROR returns errno's number and clears it; print its name, or 0"
    tell(program, "get error", "ECONNRESET", hint)
    tell(program, "get error", "0", f"{hint}; ask the kernel each time")
    tell(program, "recv 10", "0", "recv() returns 0 bytes: print 0")


@pytest.mark.points(1)
@pytest.mark.parametrize(
    "command", ["set maxseg 87", "set maxseg 32768", "set keepalive 0 1 1", "set keepalive 1 1 128"]
)
def test_what_the_kernel_refuses_is_told(lab: Lab, submission: Submission, command: str) -> None:
    """what the kernel refuses is told by its error, and is not on"""
    program, listener = start(lab, submission)
    connect(program, listener)
    hint = "setsockopt() can fail: look at what it returns; in Python it raises OSError"
    tell(program, command, "error EINVAL", hint)
    tell(program, "get keepalive", "off", "switch keepalive on only when its times are accepted")
