"""Checks of ping. The contract is in README.md."""

import os
import random
import re
import socket
import struct
import time

import echo_peer
import pytest
from echo_peer import DATA_BYTES, ECHO, FAMILIES, IPV4, IPV6, Peer
from wrong_answers import BY_ROUTER, HINTS, NEVER_SENT, OF_IPV4, WRONG, wrong_answer

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Sighting,
    Submission,
    expect,
    expect_equal,
    unmet,
    until,
)

PATIENT_MS = "20000"
"""Much longer than any check waits for what should come."""

LAYOUT = "the table in README.md has every byte of a request"
LINE = "numbers in decimal, one blank between the words, a line for each answer, nothing else"

both_families = pytest.mark.parametrize("name", list(FAMILIES))


def start(
    submission: Submission,
    count: int,
    target: str,
    *,
    wait_ms: str = PATIENT_MS,
    interval_ms: str = "5",
) -> Program:
    arguments = ("-c", str(count), "-i", interval_ms, "-W", wait_ms, target)
    return submission.start("client1", "icmp_ping", *arguments, ready=False)


class Told:
    """A line about an answer."""

    def __init__(self, program: Program, expected: str, hint: str) -> None:
        said = program.line(expected=f"the line `{expected}`", hint=hint)
        match = re.fullmatch(r"(reply|dup) seq=(\d+) from=(\S+) ttl=(\S+) rtt_us=(\d+)", said)
        if not match:
            unmet(f"the line `{expected}`", f"`{said}`", hint)
        self.said = said
        self.word, self.sender = match[1], match[3]
        self.seq, self.ttl, self.rtt_us = int(match[2]), match[4], int(match[5])


@pytest.mark.points(2)
@both_families
def test_the_requests_are_as_they_should_be(lab: Lab, submission: Submission, name: str) -> None:
    """the requests have the layout of an echo request, and a checksum that is right"""
    family = FAMILIES[name]
    started_ns = time.monotonic_ns()
    program = start(submission, 3, family.target)

    def seen() -> list[Sighting]:
        return lab.packets(family.pings, sent_by="client1")

    until(lambda: len(seen()) >= 3 or not program.is_running(), WITHIN_S)
    ended_ns = time.monotonic_ns()
    sent = seen()
    expect_equal(len(sent), 3, f"echo requests ({name}) on the wire", "-c says how many")
    identifiers, times = set(), [started_ns]
    for number, sighting in enumerate(sent):
        packet = sighting.frame[14:]
        icmp = packet[40:] if family is IPV6 else packet[packet[0] % 16 * 4 :]
        expect_equal(len(icmp), 8 + DATA_BYTES, "bytes of the ICMP message", LAYOUT)
        _, code, checksum, identifier, seq = ECHO.unpack(icmp[:8])
        expect_equal(code, 0, "code", LAYOUT)
        expect_equal(seq, number, "sequence number", "the first is 0; big endian")
        # IPv6 has the addresses, the length and the protocol in its checksum (RFC 8200, 8.1).
        pseudo = packet[8:40] + struct.pack("!II", len(icmp), 58) if family is IPV6 else b""
        right = echo_peer.checksum(pseudo + icmp[:2] + b"\0\0" + icmp[4:])
        expect_equal(
            f"{checksum:#06x}",
            f"{right:#06x}",
            f"checksum of request {seq}",
            "one's complement of the one's complement sum (RFC 1071): add the carries again, until "
            "there are none; with the checksum field 0",
        )
        identifiers.add(identifier)
        times.append(int.from_bytes(icmp[8:16], "big"))
    expect_equal(len(identifiers), 1, "different identifiers", "one for the whole run")
    times.append(ended_ns)
    expect(
        times == sorted(times),
        expected=f"bytes 8 to 15: when it was sent, CLOCK_MONOTONIC in ns, from {started_ns} on",
        actual=f"in turn {times[1:-1]}",
        hint="u64, big endian: time.monotonic_ns(), in C clock_gettime(CLOCK_MONOTONIC) and htobe64",
    )
    program.expect_exit(0, hint="the kernel there replies to each, so it ends at once: 0")
    expect_equal(len(seen()), 3, f"echo requests ({name}) on the wire", "-c says how many")


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
def test_a_request_waits_until_it_is_due(lab: Lab, submission: Submission) -> None:
    """a request waits until it is due, -i milliseconds after the one before"""
    peer = Peer(lab, IPV4)
    program = start(submission, 2, IPV4.target, interval_ms="60000")
    peer.request()
    # Once it sleeps it has sent all that it sends at once; the other one is due in a minute.
    until(program.is_asleep, WITHIN_S)
    expect_equal(
        len(lab.packets(IPV4.pings, sent_by="client1")),
        1,
        "echo requests on the wire, of 2 with -i 60000, when the program waits",
        "wait for answers until the next request is due: poll() or select() with the time that is "
        "left",
    )


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
def test_each_run_has_an_identifier_of_its_own(lab: Lab, submission: Submission) -> None:
    """each run has an identifier of its own"""
    for _ in range(3):
        began_s = int(time.time())
        start(submission, 1, IPV4.target).expect_exit(0)
    # With the time in seconds as its seed a generator may give the same until that is over.
    until(lambda: int(time.time()) > began_s, WITHIN_S)
    start(submission, 1, IPV4.target).expect_exit(0)
    sent = lab.packets(IPV4.pings, sent_by="client1")
    packets = [sighting.frame[14:] for sighting in sent]
    identifiers = [ECHO.unpack_from(packet, packet[0] % 16 * 4)[3] for packet in packets]
    expect(
        len(set(identifiers)) > 1,
        expected="different identifiers in four runs",
        actual=f"in turn {', '.join(map(str, identifiers))}",
        hint="the pid is the same in each container, as here: take 16 random bits (getrandom())",
    )


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(2)
@both_families
def test_the_round_trip_time_comes_from_the_data(
    lab: Lab, submission: Submission, name: str
) -> None:
    """the round trip time is told by the data that came back, in whatever order"""
    family = FAMILIES[name]
    peer = Peer(lab, family)
    started_ns = time.monotonic_ns()
    program = start(submission, 3, family.target)
    asked = peer.requests(3)

    for request in reversed(asked):
        # As if it had been sent so much earlier.
        earlier_ns = (10 + request.seq) * 10**9
        sent_ns = int.from_bytes(request.data[:8], "big") - earlier_ns
        data = max(sent_ns, 0).to_bytes(8, "big") + request.data[8:]
        earlier_ns -= max(-sent_ns, 0)
        peer.reply(request, data=data)
        hint = (
            "the time now minus the first 8 bytes of the reply's data; what the program itself "
            "remembers is about the last request, and replies come in any order"
        )
        told = Told(program, f"reply seq={request.seq} from={family.target} ttl=… rtt_us=…", hint)
        expect_equal((told.word, told.seq), ("reply", request.seq), "the line says", hint)
        most_ns = earlier_ns + time.monotonic_ns() - started_ns
        expect(
            earlier_ns <= (told.rtt_us + 1) * 1000 and told.rtt_us * 1000 <= most_ns,
            expected=f"rtt_us= for data of {earlier_ns / 1e9:g} s ago: {earlier_ns // 1000} to "
            f"{most_ns // 1000}",
            actual=told.said,
            hint=hint,
        )
    program.expect_exit(0, hint="every request has its reply: there is nothing more to wait for")


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
@both_families
def test_the_hops_left_are_told(
    lab: Lab, submission: Submission, rng: random.Random, name: str
) -> None:
    """ttl= is the TTL or hop limit with which the reply arrived, from= who sent it"""
    family = FAMILIES[name]
    peer = Peer(lab, family)
    program = start(submission, 1, family.target)
    asked = peer.request()
    hops = rng.randrange(40, 250)
    if family is IPV6:
        peer.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        hint = "set IPV6_RECVHOPLIMIT; recvmsg() then has a control message IPV6_HOPLIMIT"
    else:
        peer.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        hint = "a raw IPv4 socket gives the IP header too: its ninth byte"
    peer.reply(asked)
    told = Told(program, f"reply seq=0 from={family.target} ttl={hops - 1} rtt_us=…", hint)
    expect_equal((told.sender, told.ttl), (family.target, str(hops - 1)), "from= and ttl=", hint)
    program.expect_exit(0)


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(2)
@both_families
def test_only_its_own_replies_count(lab: Lab, submission: Submission, name: str) -> None:
    """what is no answer to its own requests is not taken for one"""
    family = FAMILIES[name]
    peer = Peer(lab, family)
    program = start(submission, len(WRONG) + 1, family.target)
    asked = peer.requests(len(WRONG) + 1)
    for request, wrong in zip(asked, WRONG, strict=False):
        if wrong in OF_IPV4 and family is IPV6:
            continue
        peer.send(wrong_answer(family, request, wrong), by_router=wrong in BY_ROUTER)

    last = asked[-1]
    hint = "compare type, identifier, sequence number and sender; in an error, what it quotes"
    if family is IPV4:
        # Four times the option that does nothing: the header is longer for it.
        peer.socket.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x00")
        hint += "; the IP header says itself how long it is: 4 * (first byte & 15)"
    peer.reply(last)
    said = program.line(expected=f"the line `reply seq={last.seq} …`", hint=hint)
    seq = re.match(r"\w+ seq=(\d+) ", said)
    if seq and int(seq[1]) % NEVER_SENT < len(WRONG):
        wrong = WRONG[int(seq[1]) % NEVER_SENT]
        unmet(f"nothing is printed about {wrong}", f"the program prints `{said}`", HINTS[wrong])
    expect(
        said.startswith(f"reply seq={last.seq} "),
        expected=f"the line `reply seq={last.seq} …`",
        actual=f"the line `{said}`",
        hint=hint,
    )
    for request in asked[:-1]:
        peer.reply(request)
        told = Told(program, f"reply seq={request.seq} …", hint)
        expect_equal((told.word, told.seq), ("reply", request.seq), "the line says", hint)
    program.expect_exit(0, hint="every request has its reply: there is nothing more to wait for")


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
@both_families
def test_errors_are_told(lab: Lab, submission: Submission, name: str) -> None:
    """an ICMP error about a request is told with its sender, type and code"""
    family = FAMILIES[name]
    hint = (
        "an error message has type, code and checksum, 4 more bytes, then the IP header of your "
        "packet (IPv6: 40 bytes) and its ICMP header; it comes from a router, so do not connect()"
    )
    # A real one first: the router has no route.
    program = start(submission, 1, family.nowhere)
    kind = 1 if family is IPV6 else 3
    program.expect_line(f"error seq=0 from={family.router} type={kind} code=0", hint=hint)
    program.expect_line("sent=1 received=0 errors=1 dup=0", hint=LINE)
    program.expect_exit(3, hint="an error is an answer, so it ends at once; but nobody replied: 3")

    peer = Peer(lab, family)
    program = start(submission, len(family.errors), family.target)
    asked = peer.requests(len(family.errors))
    for request, (kind, code) in zip(asked, family.errors, strict=True):
        peer.send(echo_peer.error_message(family, kind, code, request.quoted), by_router=True)
        wanted = f"error seq={request.seq} from={family.router} type={kind} code={code}"
        program.expect_line(wanted, hint=hint)
    program.expect_line(f"sent={len(asked)} received=0 errors={len(asked)} dup=0", hint=LINE)
    program.expect_exit(3, hint="nobody replied: 3")

    program = start(submission, 2, family.target)
    first, second = peer.requests(2)
    peer.send(echo_peer.error_message(family, kind, code, first.quoted), by_router=True)
    peer.reply(second)
    hint = "one request has an error, the other one a reply: somebody replied, so exit 0"
    lines = [program.line(expected="a line for each answer", hint=hint) for _ in range(3)]
    wanted = "sent=2 received=1 errors=1 dup=0 rtt_us="
    expect(
        lines[-1].startswith(wanted),
        expected=f"in the end the line `{wanted}…`",
        actual=f"the line `{lines[-1]}`",
        hint=hint,
    )
    program.expect_exit(0, hint=hint)


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
def test_the_last_line_sums_up(lab: Lab, submission: Submission) -> None:
    """the last line and the exit status sum up: what came, what came twice, what did not come"""
    peer = Peer(lab, IPV4)
    program = start(submission, 2, IPV4.target)
    first, second = peer.requests(2)
    rtts_us = []
    for request, word in ((second, "reply"), (second, "dup"), (first, "reply")):
        peer.reply(request)
        hint = "a second reply to the same request is a line `dup …`, and none of the received ones"
        told = Told(program, f"{word} seq={request.seq} …", hint)
        expect_equal((told.word, told.seq), (word, request.seq), "the line says", hint)
        if word == "reply":
            rtts_us.append(told.rtt_us)
    wanted = "sent=2 received=2 errors=0 dup=1 rtt_us="
    said = program.line(expected=f"the line `{wanted}LEAST/MEAN/MOST`", hint=LINE)
    numbers = re.fullmatch(rf"{wanted}(\d+)/(\d+)/(\d+)", said)
    least, mean, most = min(rtts_us), sum(rtts_us) // 2, max(rtts_us)
    expect(
        numbers
        and (int(numbers[1]), int(numbers[3])) == (least, most)
        and abs(int(numbers[2]) - mean) <= 1,
        expected=f"the line `{wanted}{least}/{mean}/{most}`",
        actual=f"the line `{said}`",
        hint="least, mean and most of the lines `reply …`; received= counts requests that have a "
        "reply",
    )
    program.expect_exit(0)

    silent = start(submission, 2, IPV4.target, wait_ms="30")
    silent.expect_line("sent=2 received=0 errors=0 dup=0", hint="after -W milliseconds it ends")
    silent.expect_exit(3, hint="nobody replied: 3")


@pytest.mark.needs("test_the_requests_are_as_they_should_be")
@pytest.mark.points(1)
def test_the_kernel_keeps_back_what_is_not_wanted(lab: Lab, submission: Submission) -> None:
    """with IPv6 the kernel keeps back what is neither a reply nor an error (ICMP6_FILTER)"""
    peer = Peer(lab, IPV6)
    watching = lab["client1"].socket(IPV6.number, socket.SOCK_RAW, IPV6.protocol)
    program = start(submission, 1, IPV6.target)
    asked = peer.request()
    program.freeze()
    # Once the second has come, the first is in every socket that it is for.
    for seq in range(2):
        peer.send(echo_peer.echo_message(IPV6, IPV6.request, asked.identifier, seq, asked.data))
    watching.settimeout(WITHIN_S)
    seen: list[int] = []
    while len(seen) < 2:
        icmp = watching.recv(65536)
        if icmp[0] == IPV6.request:
            seen.append(icmp[7])
    expect_equal(
        unread_bytes(lab, watching),
        0,
        "bytes that wait in the program's raw sockets (/proc/net/raw6) after two echo requests",
        "setsockopt(IPPROTO_ICMPV6, ICMP6_FILTER): 256 bits, one for each type, 1 keeps it out; "
        "replies (129) and errors (1 to 4) have to pass",
    )
    kind, code = IPV6.errors[0]
    peer.send(echo_peer.error_message(IPV6, kind, code, asked.quoted))
    expect(
        until(lambda: unread_bytes(lab, watching), WITHIN_S),
        expected="an error about the request reaches the program's socket",
        actual="nothing waits there",
        hint="errors (types 1 to 4) and replies (129) have to pass the filter",
    )


def unread_bytes(lab: Lab, own: socket.socket) -> int:
    """Return how much waits in the raw IPv6 sockets of client1 but the check's own."""
    inode = str(os.fstat(own.fileno()).st_ino)
    table = lab["client1"].run("cat", "/proc/net/raw6").stdout.decode().splitlines()[1:]
    rows = [line.split() for line in table]
    return sum(int(row[4].partition(":")[2], 16) for row in rows if row[9] != inode)
