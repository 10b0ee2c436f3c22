"""Checks of broadcast. The contract is in README.md."""

import os
import random
import re
import signal
import time
from contextlib import suppress
from itertools import pairwise

import bcast_time
import pytest
from bcast_time import LIMITED, LONG_MS, PORT, SUBNET, Question

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
    unmet,
    until,
)

EVERYBODY = "ether dst ff:ff:ff:ff:ff:ff"
TALK_S, TRIALS = 0.3, 10
BACKLOG = 200
"""Datagrams that fit into a receive buffer of the default size, with room for more."""


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
@pytest.mark.points(2)
@pytest.mark.parametrize("talks", [False, True], ids=["nobody answers", "one host goes on"])
def test_it_ends_though_answers_go_on(lab: Lab, submission: Submission, talks: bool) -> None:
    """it ends when its time is over, though answers go on"""
    bob = bcast_time.host(lab, "bob")
    for _ in range(TRIALS):
        program = bcast_time.start(submission, "-t", f"{TALK_S * 1000:.0f}")
        asked = bcast_time.question(bob, program)
        if not talks or is_told_to_its_end(lab, program, bob, asked):
            break
    else:
        raise machine_error(f"no {TALK_S} s in which the check could answer all the time")
    hint = "hosts=N at the end; exit status 3 if N is 0"
    ended = program.expect_exit(0 if talks else 3, hint=hint)
    last = ended.stdout.decode(errors="backslashreplace").splitlines()[-1:]
    expect_equal(last, [f"hosts={int(talks)}"], "the last line", hint)


def is_told_to_its_end(lab: Lab, program: Program, bob: Udp, asked: Question) -> bool:
    """Answer until the program ends; return whether there was no pause long enough to end for."""

    def tells_once_more() -> bool:
        bob.send(asked.answer(7), to=asked.sender)
        return not program.is_running()

    expect(
        until(tells_once_more, WITHIN_S),
        expected=f"the program ends {TALK_S * 1000:.0f} ms after its question",
        actual=f"after {WITHIN_S:g} s, in which answers went on, it is still running",
        hint="one deadline for all answers: take the time once, and wait for what is left of it",
    )
    now_ns = time.time_ns()
    seen = lab.packets(f"udp port {asked.sender[1]} and udp port {PORT}")
    times_ns = sorted(sighting.time_ns for sighting in seen if sighting.node == "bob")
    pauses_ns = [after - before for before, after in pairwise([*times_ns, now_ns])]
    return max(pauses_ns) < TALK_S * 10**9


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
        over_at = time.monotonic() + wait_ms / 1000
        program = bcast_time.start(submission, "-t", str(wait_ms))
        asked = bcast_time.question(bob, program)
        bcast_time.question(carol, program)
        with suppress(Unmet):  # its time may be over already
            freeze_between_answers(lab, program, bob, asked)
        carol.send(asked.answer(t_server), to=asked.sender)
        if time.monotonic() < over_at:
            break
        program.kill()
    else:
        unmet(
            "answers are received within 9.6 s",
            "the program had not read them by then",
            "read each answer when it comes",
        )

    # A second program, told the same, is the clock: when it gives up, the time of the first is over.
    clock = submission.start(
        "alice", "time_poll", SUBNET, str(PORT + 1), "-t", str(wait_ms), ready=False
    )
    clock.expect_exit(3, hint="nobody answers this one", within_s=wait_ms / 1000 + WITHIN_S)
    program.thaw()
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
        "when the time is over do not wait any more, but read what is there",
    )


def freeze_between_answers(lab: Lab, program: Program, bob: Udp, asked: Question) -> None:
    """Stop the program while answers wait in its socket: so it does not wait in recvfrom()."""

    def waiting() -> int:
        port = asked.sender[1]
        return sum(s.recv_q for s in lab["alice"].sockets("udp", port) if s.local_port == port)

    program.freeze()
    pids = program.pids()
    run_s = 0.0002
    full = 0
    for _ in range(100):
        if not full:
            for _ in range(BACKLOG):
                bob.send(asked.answer(7), to=asked.sender)
            full = waiting()
        # Long enough to read some of them, and too short to read all: how long that is depends on
        # the machine and on the program. freeze() and thaw() look for new processes: too slow.
        signal_all(pids, signal.SIGCONT)
        stop_at = time.perf_counter() + run_s
        while time.perf_counter() < stop_at:
            pass
        signal_all(pids, signal.SIGSTOP)
        if not program.is_running():
            return
        program.freeze()
        left = waiting()
        if 0 < left < full:
            return
        run_s = run_s / 1.5 if left == 0 else run_s * 2
        full = left
    # It reads all of them faster than it can be stopped: then it is stopped while it waits.


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
