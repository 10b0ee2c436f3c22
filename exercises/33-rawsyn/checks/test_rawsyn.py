"""Checks of rawsyn. The contract is in README.md."""

import random
import socket
import struct
from itertools import pairwise

import pytest
from syn_peer import (
    ACK,
    CLIENT,
    ELSEWHERE,
    RST,
    SYN,
    SYN_ONLY,
    TARGET,
    TCP,
    Answerer,
    checksum,
    first_syn,
    silence,
    syns,
    tcp_sum,
)

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    expect,
    expect_equal,
    unmet,
    until,
)

PATIENT = ("-n", "1", "-W", "20000")
"""Much longer than any check waits for what should come."""

TRIES, WAIT_MS = 20, 30
"""For what does not come; with -W ignored it would take longer than a check waits."""

LAYOUT = "the table in README.md has every field of the segment"
LINE = "`port=N open`, `port=N closed` or `port=N filtered`, as soon as it is known"


def start(submission: Submission, *arguments: str) -> Program:
    return submission.start("client1", "syn_scan", *arguments, ready=False)


def wait_for_syns(lab: Lab, port: int, number: int) -> None:
    until(lambda: len(syns(lab, port)) >= number, WITHIN_S)


@pytest.mark.points(3)
def test_the_segment_on_the_wire(lab: Lab, submission: Submission) -> None:
    """a SYN with every field as it should be is what is sent"""
    silence(lab["client2"], 7001)
    for run in (1, 2):
        program = start(submission, *PATIENT, TARGET, "7001")
        wait_for_syns(lab, 7001, run)
        program.kill()
        expect(
            len(syns(lab)) >= run,
            expected=f"a SYN to port 7001 of {TARGET}",
            actual="none has arrived",
            hint="sendto() on a socket of SOCK_RAW and IPPROTO_TCP; the flags are the 14th byte",
        )
    seen = syns(lab, 7001)
    for syn in seen:
        segment = syn.segment
        _, _, _, acknowledged, words, flags, window, _, urgent = TCP.unpack(segment[:20])
        shown = segment.hex()
        expect_equal(syn.source, CLIENT, "source address", "the kernel puts it there")
        total = tcp_sum(syn.source, TARGET, segment[:16] + b"\0\0" + segment[18:])
        expect_equal(
            f"{int.from_bytes(segment[16:18], 'big'):#06x}",
            f"{total:#06x}",
            f"checksum of the segment {shown}",
            "the kernel fills in none for a raw socket; the sum is over both addresses, too",
        )
        hint = (
            "the upper four bits of byte 12 are the length in words: 5 << 4; byte 13 has the flags"
        )
        expect_equal(f"{words:#04x}", "0x50", f"byte 12 of the segment {shown}", hint)
        expect_equal(f"{flags:#04x}", "0x02", f"flags of the segment {shown}", hint)
        expect_equal(len(segment), 20, "bytes of the segment", LAYOUT)
        expect_equal((acknowledged, urgent), (0, 0), "acknowledgement and urgent pointer", LAYOUT)
        expect(window, expected="a window", actual="0", hint=LAYOUT)
        expect(
            syn.source_port >= 1024,
            expected="a source port from 1024 on",
            actual=str(syn.source_port),
            hint="bind a TCP socket to port 0 and ask which it got",
        )
    expect(
        seen[0].seq != seen[-1].seq,
        expected="another sequence number in the next run",
        actual=f"{seen[0].seq} in both",
        hint="a random one, 32 bits of it: who cannot guess it cannot answer for the host",
    )


@pytest.mark.needs("test_the_segment_on_the_wire")
@pytest.mark.points(2)
def test_open_and_closed(lab: Lab, submission: Submission) -> None:
    """a port where somebody listens is open, another is closed, and no connection is made"""
    # An unfinished checksum is right once in 65536 times: of two not both.
    for port in (7001, 7003):
        lab["client2"].listen(port)
    hint = (
        "SYN and ACK: open; RST (and ACK): closed; the socket receives the IP header as well; the "
        "checksum of what comes from a neighbour's kernel may not be there yet"
    )
    program = start(submission, *PATIENT, TARGET, "7001,7002,7003")
    ended = program.end(expected="all ports are known, and the program ends", hint=hint)
    said = sorted(ended.stdout.decode(errors="backslashreplace").splitlines())
    wanted = ["port=7001 open", "port=7002 closed", "port=7003 open"]
    expect_equal(said, wanted, "the lines", hint)
    expect_equal(ended.exit_status, 0, "exit status", "the host has answered")

    hint = "send a SYN and nothing else: the kernel, which knows nothing of it, says RST by itself"
    resets = "src host 10.0.1.2 and tcp dst port 7001 and tcp[tcpflags] & tcp-rst != 0"
    if not until(lambda: lab.packets(resets, received_by="client2"), WITHIN_S):
        unmet("the kernel of client1 answers SYN, ACK with RST", "it does not", hint)
    acks = lab.packets("src host 10.0.1.2 and tcp[tcpflags] & tcp-ack != 0", sent_by="client1")
    expect_equal(len(acks), 0, "segments with ACK that client1 has sent", hint)

    def states() -> list[str]:
        return [entry.state for entry in lab["client2"].sockets("tcp", 7001)]

    until(lambda: states() == ["LISTEN"], WITHIN_S)  # the RST has arrived; it takes its effect
    expect_equal(states(), ["LISTEN"], "states of client2's sockets", hint)


@pytest.mark.needs("test_open_and_closed")
@pytest.mark.points(1)
def test_all_ports_at_once(lab: Lab, submission: Submission) -> None:
    """all ports are asked before any has answered, and told as soon as they have"""
    silence(lab["client2"], 7001)
    silence(lab["client2"], 7002)
    peer = Answerer(lab)
    program = start(submission, *PATIENT, TARGET, "7001,7002")
    hint = "send all SYNs first, then receive: a port that is silent must not hold up the others"
    first, second = (first_syn(lab, port, hint) for port in (7001, 7002))
    peer.segment(second, SYN | ACK)
    program.expect_line("port=7002 open", hint=LINE)
    peer.segment(first, RST | ACK)
    program.expect_line("port=7001 closed", hint=LINE)
    program.expect_exit(0, hint="every port is known: there is nothing more to wait for")


@pytest.mark.needs("test_all_ports_at_once")
@pytest.mark.points(1)
def test_numbers_and_source_ports(lab: Lab, submission: Submission) -> None:
    """each port has a number of its own, and each run one source port of its own"""
    silence(lab["client2"], 7001)
    silence(lab["client2"], 7002)
    hint = "a random sequence number for each port; a source port that the kernel has chosen"
    for runs in (1, 2):  # the second while the first goes on
        start(submission, *PATIENT, TARGET, "7001,7002")
        wait_for_syns(lab, 0, 2 * runs)
        expect_equal(len(syns(lab)), 2 * runs, f"SYNs of {runs} runs for two ports each", hint)
    seen = syns(lab)
    sources = [sorted({syn.source_port for syn in run}) for run in (seen[:2], seen[2:])]
    for run in sources:
        expect_equal(len(run), 1, f"source ports of a run, which are {run}", hint)
    expect(
        sources[0] != sources[1],
        expected="two runs at the same time have different source ports",
        actual=f"both have {sources[0]}",
        hint="keep a TCP socket bound to port 0 while you scan: nobody else gets its port",
    )
    expect_equal(len({syn.seq for syn in seen}), 4, "different sequence numbers in 4 SYNs", hint)


@pytest.mark.needs("test_open_and_closed")
@pytest.mark.points(1)
def test_silence_is_filtered(lab: Lab, submission: Submission) -> None:
    """a silent port is asked again, as often as it was told, and then filtered"""
    silence(lab["client2"], 7001)
    silence(lab["client2"], 7002)
    program = start(submission, "-n", str(TRIES), "-W", str(WAIT_MS), TARGET, "7001")
    ended = program.end(hint="a deadline for each try; after the last one the port is filtered")
    hint = "-n says how often, the first time included; each is the same question, same number"
    wait_for_syns(lab, 7001, TRIES)
    asked = syns(lab, 7001)
    expect_equal(len(asked), TRIES, "SYNs to the silent port", hint)
    expect_equal(len({syn.seq for syn in asked}), 1, "different sequence numbers in them", hint)
    said = ended.stdout.decode(errors="backslashreplace").splitlines()
    expect_equal(said, ["port=7001 filtered"], "the lines", LINE)
    expect_equal(ended.exit_status, 3, "exit status", "the host has not answered for any port: 3")
    times = [each.time_ns for each in lab.packets(SYN_ONLY, sent_by="client1")]
    # The one in the middle: a machine that stands still makes one or two longer, and not all.
    gaps = sorted(after - before for before, after in pairwise(times))
    gap_ms = gaps[len(gaps) // 2] / 10**6
    expect(
        gap_ms >= WAIT_MS * 2 / 3,
        expected=f"{WAIT_MS} ms from a SYN to the next, with -n {TRIES} -W {WAIT_MS}",
        actual=f"{gap_ms:.1f} ms",
        hint="-W is in milliseconds, and for each try",
    )

    program = start(submission, "-n", "3", "-W", "100", TARGET, "7001,7003")
    ended = program.end(hint="a deadline for each try; after the last one the port is filtered")
    # On a machine that stood still it may have come too late.
    has_answered = b"port=7003 closed" in ended.stdout
    hint = "one answer of the host is enough for exit status 0"
    expect_equal(
        ended.exit_status, 0 if has_answered else 3, "exit status: 7003 closed, 7001 silent", hint
    )

    program = start(submission, "-n", "100", "-W", "100", TARGET, "7001,7002")
    Answerer(lab).segment(first_syn(lab, 7002, LINE), RST | ACK)
    program.expect_line("port=7002 closed", hint=LINE)

    def sent(port: int) -> int:
        return len(lab.packets(f"{SYN_ONLY} and tcp dst port {port}", sent_by="client1"))

    # The silent one second: then both are asked after that, where both are asked.
    before = {port: sent(port) for port in (7002, 7001)}
    until(lambda: sent(7001) >= before[7001] + 2, WITHIN_S)
    program.kill()
    expect_equal(
        sent(7002) - before[7002],
        0,
        "SYNs to a port after it was known, while a silent one was asked two times more",
        "ask those again that are not known yet, and no others",
    )


@pytest.mark.needs("test_open_and_closed")
@pytest.mark.points(1)
def test_a_refusal_by_a_router(lab: Lab, submission: Submission) -> None:
    """an ICMP error about a SYN makes its port filtered at once, with the code"""
    hint = (
        "a second raw socket, IPPROTO_ICMP: type 3, its code, and after 8 bytes the IP header and "
        "at least 8 bytes of the segment that it is about: ports and sequence number"
    )
    # A real one first: the router has no route.
    program = start(submission, *PATIENT, "10.0.9.9", "7001")
    program.expect_line("port=7001 filtered code=0", hint=hint)
    program.expect_exit(3, hint="a router has answered, and the host has not: 3")

    silence(lab["client2"], 7001)
    program = start(submission, *PATIENT, TARGET, "7001")
    syn = first_syn(lab, 7001, hint)
    router = lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def refuse(kind: int, code: int, quoted: bytes) -> None:
        message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
        total = struct.pack("!H", checksum(message))
        router.sendto(message[:2] + total + message[4:], (CLIENT, 0))

    at = syn.header
    quoted = syn.packet[: at + 8]
    other = bytes([quoted[at] ^ 1])
    refuse(3, 9, quoted[:at] + other + quoted[at + 1 :])  # somebody else's source port
    refuse(3, 10, quoted[:-1] + bytes([quoted[-1] ^ 1]))  # another sequence number
    refuse(3, 11, quoted[:9] + b"\x11" + quoted[10:])  # UDP
    refuse(3, 12, quoted[:16] + socket.inet_aton(ELSEWHERE) + quoted[20:])  # to another host
    refuse(3, 14, quoted[: at + 2])  # cut
    refuse(3, 15, b"")
    refuse(11, 0, quoted)  # time exceeded
    # Options make a header longer; it says so itself.
    total = struct.pack("!H", int.from_bytes(quoted[2:4], "big") + 4)
    longer = bytes([quoted[0] + 1, quoted[1]]) + total + quoted[4:at] + b"\x01\x01\x01\x00"
    refuse(3, 13, longer + quoted[at:])
    program.expect_line("port=7001 filtered code=13", hint=hint)
    program.expect_exit(3)


WRONG = {
    "a SYN, ACK that acknowledges another number": "what acknowledges your SYN has its sequence "
    "number plus one (modulo 2**32)",
    "a RST that acknowledges another number": "what acknowledges your SYN has its sequence number "
    "plus one (modulo 2**32)",
    "a RST without ACK": "a RST that answers a SYN has ACK, too; without it its number means nothing",
    "a SYN, ACK from another address": "the source in the IP header has to be ADDRESS",
    "a SYN, ACK from another port": "which port a segment is about, its source port says",
    "a SYN, ACK to another port": "a raw socket gets every segment that comes to the machine: the "
    "destination port has to be yours",
    "a segment of 4 bytes": "look how long it is before you read its fields",
    "an ACK": "neither SYN nor RST: it tells nothing about the port",
}


@pytest.mark.needs("test_all_ports_at_once")
@pytest.mark.points(2)
@pytest.mark.parametrize("wrong", WRONG)
def test_only_its_own_answers_count(
    lab: Lab, submission: Submission, rng: random.Random, wrong: str
) -> None:
    """what is no answer to its own SYNs is not taken for one"""
    silence(lab["client2"], 7001)
    silence(lab["client2"], 7002)
    peer = Answerer(lab)
    program = start(submission, *PATIENT, TARGET, "7001,7002")
    syn, other = (first_syn(lab, port, WRONG[wrong]) for port in (7001, 7002))
    # Neither 0 nor 1, so that it is wrong and not by luck the right one.
    by = rng.randrange(2, 2**32)
    match wrong:
        case "a SYN, ACK that acknowledges another number":
            peer.segment(syn, SYN | ACK, acknowledged=by)
        case "a RST that acknowledges another number":
            peer.segment(syn, RST | ACK, acknowledged=by)
        case "a RST without ACK":
            peer.segment(syn, RST)
        case "a SYN, ACK from another address":
            peer.segment(syn, SYN | ACK, source=ELSEWHERE)
        case "a SYN, ACK from another port":
            peer.segment(syn, SYN | ACK, port_by=9)
        case "a SYN, ACK to another port":
            peer.segment(syn, SYN | ACK, to_by=-1)
        case "a segment of 4 bytes":
            peer.segment(syn, SYN | ACK, size=4)
        case _:
            peer.segment(syn, ACK)
    # Another port first: of what came before, the program has taken what it takes.
    hint = "the IP header says itself how long it is: 4 * (first byte & 15)"
    peer.segment(other, SYN | ACK, options=b"\x01\x01\x01\x00")
    said = program.line(expected="the line `port=7002 open`", hint=hint)
    if said.startswith(("port=7001 ", "port=7010 ")):
        unmet(f"nothing is printed about {wrong}", f"the program prints `{said}`", WRONG[wrong])
    expect_equal(said, "port=7002 open", "the line about a port that was answered", hint)
    peer.segment(syn, RST | ACK)
    program.expect_line("port=7001 closed", hint=WRONG[wrong])
    program.expect_exit(0)
