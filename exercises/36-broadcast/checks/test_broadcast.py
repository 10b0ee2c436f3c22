"""Checks of broadcast. The contract is in README.md."""

import random
import re
import time
from itertools import pairwise

import bcast_time
import pytest
from bcast_time import LIMITED, LONG_MS, LONGEST_MS, PORT, SUBNET, Question

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Udp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

EVERYBODY = "ether dst ff:ff:ff:ff:ff:ff"
HOLD_UP = (
    "sh",
    "-c",
    r"""
    exec 3<&0
    {
        dd if=/dev/zero of=/dev/stdout oflag=nonblock bs=4096 2>/dev/null
        "$@" 3<&- </dev/null
        echo $? >status.$$
    } | {
        read -r go_on <&3
        tr -d '\000'
    }
    exit $(cat status.$$)
    """,
    "hold_up",
)
"""Starts a program whose output is a full pipe: it waits where it prints, until a line is typed."""


def expect_listed(program: Program, address: str, t_server: int, hint: str) -> None:
    """Wait for the next line and compare it with the one for this host."""
    wanted = f"time from={address} ns={t_server} rtt_us=…"
    said = program.line(expected=wanted, hint=hint)
    expect(
        re.fullmatch(rf"time from={re.escape(address)} ns={t_server} rtt_us=\d+", said),
        expected=wanted,
        actual=said,
        hint=hint,
    )


@pytest.mark.points(2)
def test_one_question_goes_to_all(lab: Lab, submission: Submission) -> None:
    """one question goes to all hosts, in one frame"""
    bob = bcast_time.host(lab, "bob")
    carol = bcast_time.host(lab, "carol")
    program = bcast_time.start(submission, "-t", LONG_MS)
    one = bcast_time.question(bob, program)
    expect_equal(bcast_time.question(carol, program), one, "what carol received", "send it once")
    sent = lab.packets(f"udp dst port {PORT}", sent_by="alice")
    to_all = lab.packets(f"{EVERYBODY} and udp dst port {PORT} and dst host {SUBNET}")
    expect(
        len(sent) == 1 and to_all,
        expected=f"one frame to ff:ff:ff:ff:ff:ff, for {SUBNET}",
        actual=f"{len(sent)} frames with a question, {'some' if to_all else 'none'} of them so",
        hint="the switch copies the frame for everybody; the program sends one datagram",
    )


@pytest.mark.needs("test_one_question_goes_to_all")
@pytest.mark.points(2)
def test_each_host_is_listed_once(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """each host that answers is listed, once, when its answer comes, also the own one"""
    hosts = {name: bcast_time.host(lab, name) for name in ("bob", "carol", "alice")}
    program = bcast_time.start(submission, "-t", LONG_MS)
    questions = {name: bcast_time.question(udp, program) for name, udp in hosts.items()}
    hints = {
        "bob": "answers come from the host's own address: a connected socket would not take them; "
        "print and flush at once",
        "carol": "one answer is not the end, and a second answer of the same host is no host",
        "alice": "the host that asks hears its own broadcast, too: its server's answer counts",
    }
    for name, udp in hosts.items():
        t_server = rng.randrange(10**18, 2 * 10**18)
        # Twice: as when the network has made two of one.
        for _ in range(2):
            udp.send(questions[name].answer(t_server), to=questions[name].sender)
        expect_listed(program, lab[name].address, t_server, hints[name])


@pytest.mark.needs("test_each_host_is_listed_once")
@pytest.mark.points(1)
def test_other_datagrams_are_no_answers(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """what is no answer to this question is not listed"""
    bob = bcast_time.host(lab, "bob")
    carol = bcast_time.host(lab, "carol")
    program = bcast_time.start(submission, "-t", LONG_MS)
    asked = bcast_time.question(carol, program)
    good = asked.answer(1)
    for wrong in (
        b"",
        good[:23],
        good + b"\0",
        b"XX" + good[2:],
        good[:2] + b"\2" + good[3:],
        good[:3] + b"\1" + good[4:],
        asked._replace(seq=asked.seq ^ 1).answer(1),
        asked._replace(t_client=asked.t_client ^ 1).answer(1),
    ):
        bob.send(wrong, to=asked.sender)
    lab["bob"].udp(bind=("0.0.0.0", 0)).send(good, to=asked.sender)  # of another port

    t_server = rng.randrange(10**18, 2 * 10**18)
    carol.send(asked.answer(t_server), to=asked.sender)
    hint = (
        "carol's is the one good answer; look at length, magic, version, type, seq, t_client, and "
        "at the port that it comes from"
    )
    expect_listed(program, lab["carol"].address, t_server, hint)


@pytest.mark.needs("test_each_host_is_listed_once")
@pytest.mark.points(1)
def test_each_run_has_its_number_and_time(lab: Lab, submission: Submission) -> None:
    """each run has a number of its own, and takes answers for as long as it was told"""
    bob = bcast_time.host(lab, "bob")
    numbers = set()
    began_s = int(time.time())
    for run in range(3):
        if run == 2:
            # A generator whose seed is the time in seconds may give the same until that is over.
            until(lambda: int(time.time()) > began_s, WITHIN_S)
        program = bcast_time.start(submission, "-t", LONGEST_MS)
        asked = bcast_time.question(bob, program)
        numbers.add(asked.seq)
    expect(
        len(numbers) > 1,
        expected="three runs with different seq",
        actual=f"seq {asked.seq} in each of them",
        hint="a random number: an answer to another run is none to this one",
    )

    def rests() -> bool:
        return program.is_asleep() or not program.is_running()

    # Longer than it waits without -t, from when it waits: it has looked at its clock before.
    until(rests, WITHIN_S)
    waits_since = time.monotonic()
    until(lambda: time.monotonic() > waits_since + 1.2, WITHIN_S)
    until(rests, WITHIN_S)  # one whose time is over is awake until it has ended
    bob.send(asked.answer(7), to=asked.sender)
    hint = f"-t says for how many milliseconds, here {LONGEST_MS}; the answer came after 1200"
    expect_listed(program, lab["bob"].address, 7, hint)


@pytest.mark.needs("test_each_host_is_listed_once")
@pytest.mark.points(2)
@pytest.mark.parametrize("talks", [False, True], ids=["nobody answers", "one host goes on"])
def test_it_ends_though_answers_go_on(lab: Lab, submission: Submission, talks: bool) -> None:
    """it ends when its time is over, though answers go on"""
    bob = bcast_time.host(lab, "bob")
    is_heard = False
    for wait_s in (0.3, 1.0, 3.0):  # more where the machine makes pauses
        program = bcast_time.start(submission, "-t", f"{wait_s * 1000:.0f}")
        asked = bcast_time.question(bob, program)
        # What becomes of an answer that is read late, another check tells.
        is_heard = talks and is_listed_in_time(program, bob, asked)
        if not talks or (is_heard and is_told_to_its_end(lab, program, bob, asked, wait_s)):
            break
    else:
        expect(
            is_heard,
            expected=f"an answer at once is listed, with -t {wait_s * 1000:.0f}",
            actual="it is not",
            hint="-t is in milliseconds",
        )
        raise machine_error(f"no {wait_s} s in which the check could answer all the time")
    hint = "hosts=N at the end; exit status 3 if N is 0"
    ended = program.expect_exit(0 if talks else 3, hint=hint)
    last = ended.stdout.decode(errors="backslashreplace").splitlines()[-1:]
    expect_equal(last, [f"hosts={int(talks)}"], "the last line", hint)


def is_listed_in_time(program: Program, bob: Udp, asked: Question) -> bool:
    """Answer; return whether the program lists that before its time is over."""
    bob.send(asked.answer(7), to=asked.sender)
    said = program.line(hint="list a host when its answer comes, and hosts=N at the end")
    return said.startswith("time ")


def is_told_to_its_end(
    lab: Lab, program: Program, bob: Udp, asked: Question, wait_s: float
) -> bool:
    """Answer until the program ends; return whether there was no pause long enough to end for."""

    def tells_once_more() -> bool:
        bob.send(asked.answer(7), to=asked.sender)
        return not program.is_running()

    expect(
        until(tells_once_more, WITHIN_S),
        expected=f"the program ends {wait_s * 1000:.0f} ms after its question",
        actual=f"after {WITHIN_S:g} s, in which answers went on, it is still running",
        hint="one deadline for all answers: take the time once, and wait for what is left of it",
    )
    now_ns = time.time_ns()
    seen = lab.packets(f"udp port {asked.sender[1]} and udp port {PORT}")
    times_ns = sorted(sighting.time_ns for sighting in seen if sighting.node == "bob")
    pauses_ns = [after - before for before, after in pairwise([*times_ns, now_ns])]
    # Half of it: what is sent is not there at once.
    return max(pauses_ns) < wait_s / 2 * 10**9


@pytest.mark.needs("test_each_host_is_listed_once")
@pytest.mark.points(2)
def test_the_limited_broadcast_needs_a_source(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """255.255.255.255 works from the address of an interface, and says ENETUNREACH without"""
    program = bcast_time.start(submission, "-t", "300", address=LIMITED)
    ended = program.expect_exit(1, hint="no route leads there, and alice has no default route")
    said = ended.stderr.decode(errors="backslashreplace").strip()
    expect(
        re.fullmatch(r"error: \w+: ENETUNREACH\b.*", said),
        expected="on stderr: error: sendto: ENETUNREACH (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint="one line with the call that failed and the name of errno",
    )

    bob = bcast_time.host(lab, "bob")
    source = lab["alice"].address
    program = bcast_time.start(submission, "-s", source, "-t", LONG_MS, address=LIMITED)
    asked = bcast_time.question(bob, program)
    expect_equal(asked.sender[0], source, "sender of the question", "bind() to the source")
    expect(
        lab.packets(f"{EVERYBODY} and dst host {LIMITED}", received_by="bob"),
        expected=f"a frame for {LIMITED}",
        actual="a question without one",
        hint=f"send to {LIMITED}, not to {SUBNET}",
    )
    t_server = rng.randrange(10**18, 2 * 10**18)
    bob.send(asked.answer(t_server), to=asked.sender)
    expect_listed(program, lab["bob"].address, t_server, "the answer is as any other")


@pytest.mark.needs("test_it_ends_though_answers_go_on")
@pytest.mark.points(1)
def test_what_came_in_time_counts(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what came in time counts, and it ends, also where it was held up between two answers"""
    bob = bcast_time.host(lab, "bob")
    carol = bcast_time.host(lab, "carol")
    t_server = rng.randrange(10**18, 2 * 10**18)
    for wait_ms in (600, 2400, 9600):  # more where the machine is too slow for less
        program = bcast_time.start(submission, "-t", str(wait_ms), through=HOLD_UP)
        asked = bcast_time.question(bob, program)
        bcast_time.question(carol, program)
        request, *_ = lab.packets(f"udp src port {asked.sender[1]}", sent_by="alice")
        bob.send(asked.answer(7), to=asked.sender)
        is_held_up = has_read_all(lab, bob, asked)
        # Its time began before it read.
        over_at = time.monotonic() + wait_ms / 1000
        for _ in range(20):
            bob.send(b"no answer", to=asked.sender)
        carol.send(asked.answer(t_server), to=asked.sender)
        if is_held_up and time.time_ns() < request.time_ns + wait_ms * 10**6:
            break
        program.kill()
    else:
        unmet(
            "answers are received within 9.6 s",
            "the program had not read them by then",
            "read each answer when it comes",
        )

    until(lambda: time.monotonic() > over_at, wait_ms / 1000 + WITHIN_S)
    program.write(b"go on\n")
    ended = program.expect_exit(
        0,
        hint="here the time was over between two calls of recvfrom(), and the next one waited for "
        "ever: a signal does not interrupt a call that has not begun; use poll() with what is left",
    )
    lines = ended.stdout.decode(errors="backslashreplace").splitlines()
    expect_equal(
        [re.sub(r" rtt_us=\d+$", "", line) for line in lines],
        [
            f"time from={lab['bob'].address} ns=7",
            f"time from={lab['carol'].address} ns={t_server}",
            "hosts=2",
        ],
        "the lines",
        "carol's answer was in the socket before the time was over, and the program looked late: "
        "when the time is over do not wait any more, but read all that is there, up to 1000",
    )


def has_read_all(lab: Lab, bob: Udp, asked: Question) -> bool:
    """Wait until the program has read what bob has sent so far; return whether it has."""
    port = asked.sender[1]
    # What comes behind that is there: then that is, too.
    behind = lab["alice"].udp(bind=(lab["alice"].address, 0))
    bob.send(b"behind", to=behind.address)
    behind.receive()

    def waiting() -> int:
        return sum(s.recv_q for s in lab["alice"].sockets("udp", port) if s.local_port == port)

    return bool(until(lambda: not waiting(), WITHIN_S))
