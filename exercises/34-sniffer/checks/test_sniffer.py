"""Checks of sniffer. The contract is in README.md."""

import random
import re
import signal
import time

import pytest
from sniffed import (
    CLIENT,
    FILTER,
    INTERFACE,
    MATCH,
    NODE,
    PORT,
    SERVER,
    have_arrival_times,
    queued_bytes,
    records,
    wait_for_header,
)

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Sighting,
    Submission,
    Udp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

END = "the last line on stderr is `captured=N received=N dropped=N`"

SENT_AT_ONCE, MOST_SENT = 500, 20000


def start(submission: Submission, *options: str) -> Program:
    arguments = (*options, INTERFACE, FILTER)
    program = submission.start(NODE, "sniff", *arguments, ready=False)
    wait_for_header(program)
    return program


def seen(lab: Lab, match: str = MATCH) -> list[Sighting]:
    """Return the frames at the interface, in both directions, from what labctl captured itself."""
    return [each for each in lab.packets(match) if (each.node, each.interface) == (NODE, INTERFACE)]


def is_written(program: Program, size: int) -> bool:
    return bool(until(lambda: len(program.stdout) >= size, WITHIN_S))


def statistics(program: Program, hint: str = "") -> tuple[int, int, int]:
    """End the program by Ctrl-C, and return what it says: captured, received, dropped."""
    program.signal(signal.SIGINT)
    return said_at_the_end(program, hint)


def said_at_the_end(program: Program, hint: str = "") -> tuple[int, int, int]:
    ended = program.expect_exit(0, hint=hint or "-c and Ctrl-C are how a capture ends: exit 0")
    last = ended.stderr.decode(errors="backslashreplace").splitlines()[-1:]
    match = re.fullmatch(r"captured=(\d+) received=(\d+) dropped=(\d+)", "".join(last))
    if not match:
        unmet(END, f"it is {last}", "SOL_PACKET, PACKET_STATISTICS has the last two")
    return int(match[1]), int(match[2]), int(match[3])


def overflow(lab: Lab, client: Udp) -> None:
    """Send frames until the socket of the frozen program has had no room for the last of them."""
    queued = queued_bytes(lab)
    for sent in range(SENT_AT_ONCE, MOST_SENT + 1, SENT_AT_ONCE):
        for _ in range(SENT_AT_ONCE):
            client.send(bytes(1000), to=(SERVER, PORT))
        if not until(lambda sent=sent: len(seen(lab)) >= sent, WITHIN_S):
            raise machine_error("frames of the check's own do not arrive", where="check")
        before, queued = queued, queued_bytes(lab)
        if queued == before:
            return
    raise machine_error(f"a socket's buffer has room for {MOST_SENT} frames", where="check")


@pytest.mark.points(3)
def test_the_file_has_what_was_on_the_wire(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the file has the frames of that interface that the filter lets pass, byte for byte"""
    program = start(submission, "-c", "6")
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = lab["client1"].udp(bind=(CLIENT, 0))
    elsewhere = lab["client2"].udp(to=("10.0.2.1", PORT))
    for length in (0, 1, rng.randrange(100, 1400)):
        # One that arrives and one that is sent, and one at another interface before them.
        elsewhere.send(b"elsewhere")
        server.receive()
        client.send(rng.randbytes(length), to=(SERVER, PORT))
        data, sender = server.receive_from()
        server.send(data[::-1], to=sender)
        client.receive()
        wanted = len(seen(lab))
        # Each frame is in the file soon after it was on the wire, not when the buffer is full.
        size = 24 + sum(16 + len(each.frame) for each in seen(lab))
        if not is_written(program, size):
            unmet(
                f"{size} bytes in the file after {wanted} frames",
                f"{len(program.stdout)} bytes",
                "write each record as soon as the frame is there; frames that are sent are frames, "
                "too; the interface is the one that was named",
            )
    hint = "from the Ethernet header on, both directions, one interface (bind), in their order"
    ended = program.expect_exit(0, hint="-c 6: it ends after six frames")
    found = records(ended.stdout, "the file")
    expect_equal(len(found), len(seen(lab)), f"frames in the file, for `{MATCH}`", hint)
    for number, (record, sighting) in enumerate(zip(found, seen(lab), strict=True), 1):
        expect_equal(record.data.hex(), sighting.frame.hex(), f"frame {number}", hint)
        expect_equal(record.length, len(sighting.frame), f"length of frame {number}", hint)
    expect_equal(said_at_the_end(program)[0], 6, "captured=", END)


@pytest.mark.needs("test_the_file_has_what_was_on_the_wire")
@pytest.mark.points(3)
def test_the_kernel_filters(lab: Lab, submission: Submission) -> None:
    """what the filter does not let pass never reaches the program's socket"""
    program = start(submission, "-c", "3")
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    other = lab["server"].udp(bind=("0.0.0.0", PORT + 1))
    client = lab["client1"].udp(bind=(CLIENT, 0))
    hint = "setsockopt(SOL_SOCKET, SO_ATTACH_FILTER) with a struct sock_fprog: the kernel runs it"
    expect_equal(queued_bytes(lab), 0, f"bytes in the socket before a frame of `{MATCH}`", hint)
    program.freeze()
    for _ in range(5):
        client.send(b"not this one", to=(SERVER, PORT + 1))
        other.receive()
    expect_equal(
        queued_bytes(lab),
        0,
        "bytes in the socket of the frozen program after 5 frames that do not match",
        hint,
    )
    for _ in range(3):
        client.send(b"this one", to=(SERVER, PORT))
        server.receive()
    expect(
        queued_bytes(lab),
        expected="the 3 frames that match wait in the socket of the frozen program",
        actual="nothing waits there",
        hint=f"{hint}; read from the socket, without a ring (PACKET_RX_RING)",
    )
    program.thaw()
    captured, received, dropped = said_at_the_end(program)
    expect_equal((captured, received, dropped), (3, 3, 0), "captured, received, dropped", hint)
    found = records(program.stdout, "the file")
    expect_equal([each.data for each in found], [each.frame for each in seen(lab)], "frames", hint)


@pytest.mark.needs("test_the_file_has_what_was_on_the_wire")
@pytest.mark.points(1)
def test_long_frames_are_cut(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """with -s a record has so many bytes of the frame, and says how many there were"""
    program = start(submission, "-s", "60", "-c", "2")
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = lab["client1"].udp(bind=(CLIENT, 0))
    for length in (rng.randrange(300, 1400), 10):
        client.send(rng.randbytes(length), to=(SERVER, PORT))
        server.receive()
    ended = program.expect_exit(0, hint="-c 2: it ends after two frames")
    found = records(ended.stdout, "the file")
    frames = [each.frame for each in seen(lab)]
    hint = "a record has two lengths: what follows, and what there was"
    wanted = [(len(frame), frame[:60].hex()) for frame in frames]
    actual = [(each.length, each.data.hex()) for each in found]
    expect_equal(actual, wanted, "length of the frame, and the bytes that are kept", hint)
    most = int.from_bytes(ended.stdout[16:20], "little")
    expect_equal(most, 60, "the most bytes of a frame, in the file's header", hint)


@pytest.mark.needs("test_the_file_has_what_was_on_the_wire")
@pytest.mark.points(1)
def test_the_time_is_the_kernels(lab: Lab, submission: Submission) -> None:
    """the time of a record is when the frame came, not when the program read it"""
    have_arrival_times(lab)
    program = start(submission, "-c", "1")
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = lab["client1"].udp(bind=(CLIENT, 0))
    program.freeze()
    before_us = time.time_ns() // 1000
    client.send(b"now", to=(SERVER, PORT))
    server.receive()
    after_us = time.time_ns() // 1000 + 1
    program.thaw()
    ended = program.expect_exit(0)
    [record] = records(ended.stdout, "the file")
    expect(
        before_us <= record.time_us <= after_us,
        expected=f"a time from {before_us} to {after_us}: microseconds since 1970 as the frame came",
        actual=f"{record.time_us}: the program was stopped as it came, and went on after that",
        hint="SO_TIMESTAMPNS, and the time as a control message of recvmsg(); or SIOCGSTAMP",
    )


@pytest.mark.needs("test_the_kernel_filters")
@pytest.mark.points(1)
def test_ctrl_c_loses_nothing(lab: Lab, submission: Submission) -> None:
    """a capture that Ctrl-C ends has all that had arrived by then, and exit status 0"""
    program = start(submission)
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = lab["client1"].udp(bind=(CLIENT, 0))
    program.freeze()
    for _ in range(20):
        client.send(b"before Ctrl-C", to=(SERVER, PORT))
        server.receive()
    # It gets the signal as it goes on, before it can read any of them.
    program.signal(signal.SIGINT)
    program.thaw()
    hint = "after SIGINT read on until there is nothing (EAGAIN), then write the last line, exit 0"
    captured, _, _ = said_at_the_end(program, hint)
    expect_equal(len(records(program.stdout, "the file")), 20, "frames in the file", hint)
    expect_equal(captured, 20, "captured=", hint)


@pytest.mark.needs("test_ctrl_c_loses_nothing")
@pytest.mark.points(1)
def test_what_did_not_fit_is_told(lab: Lab, submission: Submission) -> None:
    """what had no room in the socket's buffer is counted as dropped"""
    program = start(submission, "-s", "60")
    client = lab["client1"].udp(bind=(CLIENT, 0))
    program.freeze()
    overflow(lab, client)
    program.thaw()
    captured, received, dropped = statistics(program)
    # The server's own answers, ICMP port unreachable, are no UDP.
    hint = "PACKET_STATISTICS: tp_packets is all that the filter let pass, tp_drops is among them"
    expect_equal(received, len(seen(lab)), "received=", hint)
    expect_equal(captured, len(records(program.stdout, "the file")), "captured=", hint)
    expect(
        dropped,
        expected="dropped= is more than 0: the socket of the stopped program was full, and more came",
        actual=f"captured={captured} received={received} dropped=0",
        hint=hint,
    )
    expect_equal(dropped, received - captured, "dropped=, which is received= less captured=", hint)


@pytest.mark.needs("test_the_kernel_filters")
@pytest.mark.points(1)
def test_what_cannot_be_captured_is_told(submission: Submission) -> None:
    """an interface or a filter that is none is told in one line, with exit status 1"""
    for interface, text, wanted, hint in (
        ("nosuch", FILTER, r"error: \w+: ENODEV\b", "look at what bind() and its like return"),
        (INTERFACE, "x", "error: filter: ", "a filter is numbers"),
        (INTERFACE, "2,6 0 0 0,", "error: filter: ", "it says 2 instructions, and has one"),
        (INTERFACE, "1,21 0 5 0,", r"error: \w+: EINVAL\b", "this one jumps beyond its end"),
    ):
        what = f"`sniff {interface} {text}`"
        program = submission.start(NODE, "sniff", interface, text, ready=False)
        until(lambda program=program: program.stdout or not program.is_running(), WITHIN_S)
        expect_equal(program.stdout, b"", f"stdout of {what}, which captures nothing", hint)
        ended = program.expect_exit(1, hint=hint)
        # What it wrote before its end may come to the check behind it.
        expect_equal(ended.stdout, b"", f"stdout of {what}, which captures nothing", hint)
        said = ended.stderr.decode(errors="backslashreplace").strip()
        expect(
            re.match(wanted, said) and "\n" not in said,
            expected=f"{what}: one line on stderr, as README.md has it",
            actual=f"on stderr: {said or 'nothing'}",
            hint=hint,
        )
