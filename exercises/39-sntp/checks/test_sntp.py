"""Checks of sntp. The contract is in README.md."""

import random
import re
import socket

import ntp_wire
import pytest
from ntp_wire import LAYOUT, PACKET, PORT, ROUNDING_US, SECOND, SERVER, TO_1970, microseconds

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Udp,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    until,
)

LONG_MS = "20000"
MILLISECOND = SECOND // 1000
FORMULA = (
    "offset = ((T2-T1) + (T3-T4)) / 2, delay = (T4-T1) - (T3-T2): T1 and T4 are the client's times "
    "of sending and receiving, T2 and T3 the server's of receiving and sending"
)


def start_client(submission: Submission, wait_ms: str = LONG_MS) -> Program:
    return submission.start("client1", "sntp_client", *map(str, SERVER), "-t", wait_ms, ready=False)


@pytest.mark.points(1)
def test_the_client_asks_in_mode_3(lab: Lab, submission: Submission) -> None:
    """the client asks in mode 3, and says when it asked"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    before = ntp_wire.now()
    start_client(submission)
    asked = ntp_wire.request(server)
    after = ntp_wire.now()
    expect_equal(
        f"{asked.first:#04x}", "0x23", "first byte", "leap 0, version 4, mode 3: 00 100 011"
    )
    expect_equal(
        asked.datagram[1:40], bytes(39), "all between it and the transmit timestamp", LAYOUT
    )
    expect(
        before <= asked.transmit <= after,
        expected=f"transmit timestamp: about {before / SECOND:.3f} s since 1900",
        actual=f"transmit timestamp: {asked.transmit / SECOND:.3f} s",
        hint=f"seconds since 1970 and {TO_1970}; the fraction counts 2**-32 s, not ns or µs",
    )


@pytest.mark.needs("test_the_client_asks_in_mode_3")
@pytest.mark.points(1)
@pytest.mark.parametrize("ahead_s", [1000, -33.25], ids=["server ahead", "server behind"])
def test_offset_and_delay(lab: Lab, submission: Submission, ahead_s: float) -> None:
    """offset and delay follow from the four times, with the right sign"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = start_client(submission)
    asked = ntp_wire.request(server)
    ahead = int(ahead_s * SECOND)
    receive = ntp_wire.now() + ahead
    # In the server it is for a moment: long enough to be seen.
    until(lambda: ntp_wire.now() + ahead > receive + MILLISECOND, WITHIN_S)
    transmit = ntp_wire.now() + ahead
    server.send(asked.answer(receive, transmit), to=asked.sender)
    line = ntp_wire.said(client, LAYOUT)
    latest = ntp_wire.now()

    # Of T4 is known only that it is between sending the answer and reading the line.
    there = microseconds(receive - asked.transmit)
    ntp_wire.expect_close(line.offset_us + line.delay_us / 2, there, "offset + delay/2", FORMULA)
    arrived_us = microseconds(transmit) - (line.offset_us - line.delay_us / 2)
    earliest_us, latest_us = microseconds(transmit - ahead), microseconds(latest)
    expect(
        earliest_us - ROUNDING_US <= arrived_us <= latest_us + ROUNDING_US,
        expected="offset - delay/2: T3-T4, where T4 is when the answer arrived",
        actual=f"a T4 that is {arrived_us - earliest_us:.0f} µs after the answer was sent, and "
        f"{latest_us - arrived_us:.0f} µs before it was printed",
        hint=FORMULA,
    )
    expect_equal(line.time, unix(transmit), "time=", "the server's transmit time, since 1970")


def unix(timestamp: int) -> int:
    return timestamp // SECOND - TO_1970


@pytest.mark.needs("test_offset_and_delay")
@pytest.mark.points(1)
def test_the_error_is_bounded(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the line has the stratum, and by how much all of it may be wrong"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = start_client(submission)
    asked = ntp_wire.request(server)
    root_delay, root_dispersion = rng.randrange(1, 2**17), rng.randrange(2**16, 2**18)
    stratum = rng.randrange(2, 16)
    fields = {"root_delay": root_delay, "root_dispersion": root_dispersion, "stratum": stratum}
    server.send(asked.answer(ntp_wire.now(), ntp_wire.now(), **fields), to=asked.sender)
    line = ntp_wire.said(client, LAYOUT)
    expect_equal(line.stratum, stratum, "stratum=", LAYOUT)
    wanted = line.delay_us / 2 + (root_delay / 2 + root_dispersion) * 10**6 / 2**16
    hint = (
        "half the delay, half of the server's own delay to its source (root delay), and the error "
        "that it claims (root dispersion); both are seconds with a fraction of 16 bits"
    )
    ntp_wire.expect_close(line.error_us, wanted, "error_us", hint)


@pytest.mark.needs("test_offset_and_delay")
@pytest.mark.points(1)
def test_forged_answers_are_passed_over(lab: Lab, submission: Submission) -> None:
    """what is no answer to its request is passed over"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = start_client(submission)
    asked = ntp_wire.request(server)
    wrong = ntp_wire.now() + 5000 * SECOND
    forged = asked.answer(wrong, wrong)
    server.send(forged[:47], to=asked.sender)
    differences: tuple[dict[str, int | bytes], ...] = (
        {"originate": asked.transmit ^ 1},
        {"originate": 0},
        {"originate": 0, "stratum": 0, "reference_id": b"DENY"},
        {"first": 0x23},
        {"first": 0x25},
        {"first": 0x2C},
        {"first": 0xE4},
        {"stratum": 16},
        {"transmit": 0},
    )
    for fields in differences:
        server.send(asked.answer(wrong, wrong, **fields), to=asked.sender)
    lab["server"].udp(bind=("0.0.0.0", 0)).send(forged, to=asked.sender)  # of another port

    receive = ntp_wire.now() + 300 * SECOND
    authenticated = asked.answer(receive, receive) + bytes(20)
    server.send(authenticated, to=asked.sender)
    hint = (
        "48 bytes at least, mode 4, version 4, the originate timestamp is your transmit timestamp, "
        "leap is not 3, stratum at most 15, transmit not 0, and from the port that was asked"
    )
    try:
        line = ntp_wire.said(client, hint)
    except Unmet as error:
        raise Unmet(error.expected, error.actual, hint) from None
    there = microseconds(receive - asked.transmit)
    ntp_wire.expect_close(line.offset_us + line.delay_us / 2, there, "offset + delay/2", hint)


@pytest.mark.needs("test_the_client_asks_in_mode_3")
@pytest.mark.points(1)
def test_it_ends_without_an_answer(lab: Lab, submission: Submission) -> None:
    """without an answer it ends when its time is over, and with exit status 4 where nobody is"""
    client = start_client(submission)
    client.expect_exit(4, hint="ECONNREFUSED from recv(): nobody has the port, exit status 4")
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    for wait_s in (0.3, 1.0, 3.0):  # more where the machine makes pauses
        client = start_client(submission, f"{wait_s * 1000:.0f}")
        if ntp_wire.longest_pause_s(server, client, wait_s) < wait_s / 2:
            break
    else:
        raise machine_error(f"no {wait_s} s in which the check could send all the time")
    client.expect_exit(3, hint="no answer: exit status 3")


@pytest.mark.needs("test_the_client_asks_in_mode_3")
@pytest.mark.points(1)
def test_a_kiss_of_death_ends_it(lab: Lab, submission: Submission) -> None:
    """a kiss of death is no time: exit status 5, and no second request"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = start_client(submission)
    asked = ntp_wire.request(server)
    time = ntp_wire.now()
    kiss = asked.answer(time, time, first=0xE4, stratum=0, reference_id=b"RATE")
    server.send(kiss, to=asked.sender)
    hint = "stratum 0: the reference identifier is a code, here RATE: you ask too often"
    ended = client.expect_exit(5, hint=hint)
    expect_equal(ended.stdout, b"", "stdout", hint)
    stderr = ended.stderr.decode(errors="backslashreplace").strip()
    expect(
        re.fullmatch(r"error: .*RATE", stderr),
        expected="on stderr: error: kiss of death: RATE",
        actual=f"on stderr: {stderr or 'nothing'}",
        hint=hint,
    )
    expect_equal(server.waiting(), [], "further requests", "it was told to be quiet")


@pytest.mark.needs("test_offset_and_delay")
@pytest.mark.points(1)
def test_2036_is_no_end(lab: Lab, submission: Submission) -> None:
    """a server that is in the next era, after 2036, is 14 years ahead and not 122 behind"""
    server = lab["server"].udp(bind=("0.0.0.0", PORT))
    client = start_client(submission)
    asked = ntp_wire.request(server)
    later = ntp_wire.now() + 14 * 365 * 86400 * SECOND
    server.send(asked.answer(later, later), to=asked.sender)
    hint = (
        "seconds begin anew with 0 on 7 February 2036: take differences as signed numbers of 64 "
        "bits, and read a number of seconds without its highest bit as one after that day"
    )
    line = ntp_wire.said(client, hint)
    there = microseconds(later - asked.transmit)
    ntp_wire.expect_close(line.offset_us + line.delay_us / 2, there, "offset + delay/2", hint)
    expect_equal(line.time, unix(later), "time=", hint)


@pytest.mark.needs("test_the_error_is_bounded")
@pytest.mark.points(1)
def test_a_broadcast_tells_the_time(lab: Lab, submission: Submission) -> None:
    """with -b it sends nothing, and takes the time from a broadcast in mode 5"""
    arguments = ("0.0.0.0", str(PORT), "-b", "-t", LONG_MS)
    client = submission.start("client1", "sntp_client", *arguments)
    server = lab["server"].udp(bind=("10.0.1.1", PORT))
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    ahead = 77 * SECOND
    base = ntp_wire.Request(0x23, 0, ("10.0.1.255", PORT), b"")
    wrong = ntp_wire.now() + 5000 * SECOND
    for none in (
        base.answer(wrong, wrong),  # mode 4: an answer to somebody else
        base.answer(wrong, wrong, first=0xE5),
        base.answer(wrong, wrong, first=0x25, stratum=16),
        base.answer(wrong, 0, first=0x25),
    ):
        server.send(none, to=base.sender)
    earliest = ntp_wire.now()
    told = base.answer(0, earliest + ahead, first=0x25, originate=0, root_dispersion=2**15)
    server.send(told, to=base.sender)
    hint = (
        "mode 5, leap not 3, stratum at most 15, transmit not 0, but no originate timestamp: "
        "offset = T3-T4, and delay 0, since nobody knows it"
    )
    line = ntp_wire.said(client, hint)
    latest = ntp_wire.now()
    expect_equal(line.delay_us, 0, "delay_us=", hint)
    late_us = microseconds(ahead) - line.offset_us
    expect(
        -ROUNDING_US <= late_us <= microseconds(latest - earliest) + ROUNDING_US,
        expected="offset_us: 77000000, less what passed since the packet was sent",
        actual=f"offset_us: {line.offset_us}",
        hint=hint,
    )
    ntp_wire.expect_close(line.error_us, 500000, "error_us", "what the server claims: 1/2 s")
    expect_equal(lab.packets("udp", sent_by="client1"), [], "packets of the client", hint)


def ask(
    client: Udp,
    first: int = 0x23,
    transmit: int = 1,
    poll: int = 0,
    *,
    behind: bytes = b"",
    port: int = PORT,
) -> bytes:
    request = PACKET.pack(first, 0, poll, 0, 0, 0, bytes(4), 0, 0, 0, transmit)
    client.send(request + behind, to=(SERVER[0], port))
    return client.receive(expected="an answer", hint="recvfrom() says who asked")


@pytest.mark.points(1)
@pytest.mark.parametrize("version", [3, 4])
def test_the_server_answers(
    lab: Lab, submission: Submission, rng: random.Random, version: int
) -> None:
    """the server answers with the version and the time of the request, and its own two times"""
    submission.start("server", "sntp_server", "0.0.0.0", str(PORT), "-d", "750")
    client = lab["client1"].udp()
    transmit, poll = rng.randrange(1, 2**64), rng.randrange(4, 17)
    before = ntp_wire.now()
    answer = ask(client, version << 3 | 3, transmit, poll)
    after = ntp_wire.now()
    expect_equal(len(answer), 48, "bytes in the answer", LAYOUT)
    first, stratum, got_poll, _, root_delay, root_dispersion, _, *times = PACKET.unpack(answer)
    reference, originate, receive, sent = times
    hint = "leap 0, the version of the request, mode 4"
    expect_equal(f"{first:08b}", f"00{version:03b}100", "first byte in binary", hint)
    expect_equal((stratum, got_poll), (1, poll), "stratum, and poll as in the request", LAYOUT)
    hint = "seconds with a fraction of 16 bits: -d is in milliseconds"
    expect_equal((root_delay, root_dispersion), (0, 49152), "root delay and dispersion", hint)
    hint = "originate is the request's transmit timestamp, every bit of it"
    expect_equal(originate, transmit, "originate timestamp", hint)
    expect(
        before <= receive <= sent <= after and 0 < reference <= receive,
        expected="reference <= receive <= transmit, the last two of now, since 1900",
        actual=f"{reference / SECOND:.6f} {receive / SECOND:.6f} {sent / SECOND:.6f} s, "
        f"and now is {after / SECOND:.6f} s",
        hint=LAYOUT,
    )


@pytest.mark.needs("test_the_server_answers")
@pytest.mark.points(1)
def test_only_questions_are_answered(lab: Lab, submission: Submission) -> None:
    """the server answers questions only, and survives everything else"""
    submission.start("server", "sntp_server", "0.0.0.0", str(PORT))
    client = lab["client1"].udp()
    for wrong in (
        b"",
        bytes(47),
        bytes(48),
        *(bytes([first]) + bytes(47) for first in (0x24, 0x25, 0x03)),
    ):
        client.send(wrong, to=SERVER)
    answer = ask(client, transmit=99)
    originate = PACKET.unpack(answer)[8] if len(answer) == 48 else None
    hint = (
        "48 bytes at least, mode 3 and version not 0: an answer to an answer would be answered, "
        "without end"
    )
    expect_equal(originate, 99, "originate timestamp of the first answer that comes", hint)


@pytest.mark.needs("test_the_server_answers")
@pytest.mark.points(1)
def test_each_field_of_the_answer(lab: Lab, submission: Submission) -> None:
    """each field of the answer is as in the table, in every answer, also to a longer request"""
    submission.start("server", "sntp_server", "0.0.0.0", str(PORT))
    submission.start("server", "sntp_server", "0.0.0.0", str(PORT + 1), "-d", "1")
    client = lab["client1"].udp()
    mac = bytes(20)  # what follows in a request with a key
    answers = [ask(client, behind=mac), ask(client, behind=mac), ask(client, port=PORT + 1)]
    expect_equal([len(answer) for answer in answers], [48] * 3, "bytes in the answers", LAYOUT)
    first, second, few = map(PACKET.unpack, answers)
    expect_equal((first[3], first[6]), (-20, b"LOCL"), "precision and reference identifier", LAYOUT)
    hint = "the reference timestamp is when the server started, whoever asks"
    expect_equal(second[7], first[7], "reference timestamp of the second answer", hint)
    hint = "MS * 65536 / 1000, rounded down; MS is 10 without -d"
    expect_equal((first[5], few[5]), (655, 65), "root dispersion without -d, and with -d 1", hint)


@pytest.mark.needs("test_offset_and_delay")
@pytest.mark.needs("test_the_server_answers")
@pytest.mark.points(1)
def test_a_slow_way_looks_like_a_wrong_clock(lab: Lab, submission: Submission) -> None:
    """one slow way looks like a wrong clock, by half of it, and within the error"""
    submission.start("server", "sntp_server", "0.0.0.0", str(PORT), "-d", "0")
    for slow_ms in (200, 1000, 5000):
        slow = {"delay": {"match": f"udp dst port {PORT}", "packets": [1], "by": f"{slow_ms}ms"}}
        with lab.faults({"client1->server": [slow]}):
            client = start_client(submission)
            line = ntp_wire.said(client, LAYOUT, within_s=WITHIN_S + slow_ms / 1000)
        offset_us, delay_us = on_the_wire(lab)
        # Each clock was read before the frame left, or after it came: so much more the delay is,
        # and half of that is the most by which the offset can differ.
        most_us = (line.delay_us - delay_us) / 2 + ROUNDING_US
        # On a busy machine that may be so much that no offset at all would be right, too. Then it
        # says nothing yet.
        if most_us < abs(offset_us):
            break
    expect(
        most_us >= 0 and abs(line.offset_us - offset_us) <= most_us,
        expected=f"offset {offset_us:.0f} µs and delay {delay_us:.0f} µs, as the frames have it "
        f"(both clocks are the same, and one way took {slow_ms} ms)",
        actual=f"offset {line.offset_us} µs and delay {line.delay_us} µs",
        hint="take T1 right before send() and T4 right after recv(), T2 right after recvfrom() and "
        "T3 right before sendto()",
    )
    expect(
        abs(line.offset_us) <= line.error_us + ROUNDING_US,
        expected=f"error_us: at least {abs(line.offset_us)}, since the clocks are the same",
        actual=f"error_us: {line.error_us}",
        hint="half the delay is what the offset may be wrong by",
    )


def on_the_wire(lab: Lab) -> tuple[float, float]:
    """Return offset and delay in microseconds by the times of the last frames."""
    match = f"udp port {PORT}"
    seen = [
        lab.packets(match, **{way: node})
        for way, node in (
            ("sent_by", "client1"),
            ("received_by", "server"),
            ("sent_by", "server"),
            ("received_by", "client1"),
        )
    ]
    if not all(seen):
        raise machine_error("not all frames were seen", where="check")
    t1, t2, t3, t4 = (sightings[-1].time_ns / 1000 for sightings in seen)
    return ((t2 - t1) + (t3 - t4)) / 2, (t4 - t1) - (t3 - t2)
