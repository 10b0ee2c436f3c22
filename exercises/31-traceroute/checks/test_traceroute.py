"""Checks of traceroute. The contract is in README.md."""

import random
import re
import socket
import time

import chain
import pytest
from chain import BASE_PORT, FAMILIES, IPV4, Family, Router

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

PATIENT_MS = "20000"
"""Much longer than any check waits for what should come."""

SHORT_MS = "60"
"""For what does not come. Where it is used, nothing has to come in this time."""

FAIR_MS = str(int(200 * WITHIN_S))
"""For what does not come, where what does come has to come in this time."""

LATE_MS = 50
"""After which an answer of the check's own comes."""

WORK_S = 0.1
"""After which one that looks again and again, and never waits, has looked at its clock, too."""

LINE = "the TTL, then for each of the three probes ADDRESS=MICROSECONDS with a mark, or *"
QUOTED = (
    "an error quotes the packet that it is about, its IP header and 8 bytes: compare protocol, "
    "destination address, source port and destination port with those of the probe that you sent "
    "last"
)

both_families = pytest.mark.parametrize("name", list(FAMILIES))


def start(
    submission: Submission, target: str, *, hops: int = 8, wait_ms: str = PATIENT_MS
) -> Program:
    arguments = ("-m", str(hops), "-W", wait_ms, target)
    return submission.start("client", "udp_traceroute", *arguments, ready=False)


def hop(program: Program, ttl: int, hint: str, *, within_s: float = WITHIN_S) -> list[str]:
    """Return what the next line says of each probe, without the times: ``10.0.0.2!H`` or ``*``."""
    expected = f"the line `{ttl} …` with three probes"
    said = program.line(expected=expected, hint=hint, within_s=within_s)
    words = said.split(" ")
    matches = [re.fullmatch(r"(\*)|([0-9a-f.:]+)=\d+(!\w+)?", word) for word in words[1:]]
    if len(words) != 4 or words[0] != str(ttl) or not all(matches):
        unmet(expected, f"the line `{said}`", LINE)
    return [m[1] or f"{m[2]}{m[3] or ''}" for m in matches if m]


@pytest.mark.points(2)
@both_families
def test_there_are_three_probes_for_each_ttl(lab: Lab, submission: Submission, name: str) -> None:
    """each TTL from 1 on gets three probes, each to a port of its own, all from one port"""
    family = FAMILIES[name]
    program = start(submission, family.hops[-1], hops=2)
    hint = "from 1 to -m; each probe goes out when the one before has its answer"
    chain.probe(lab, family, 6, program)
    program.end(hint="-m 2: two lines, then it ends")
    sent = chain.probes(lab, family)
    expect_equal([probe.ttl for probe in sent], [1, 1, 1, 2, 2, 2], "TTLs (hop limits)", hint)
    expect_equal(
        [probe.ports[1] for probe in sent],
        [BASE_PORT + number for number in range(1, 7)],
        "destination ports",
        "the first probe goes to 33435, each further one to the next port, over all TTLs",
    )
    sources = {probe.ports[0] for probe in sent}
    expect(
        len(sources) == 1 and min(sources) > 1023,
        expected="one source port for all probes, which nobody else has",
        actual=f"source ports: {sorted(sources)}",
        hint="one UDP socket, bound to port 0 before the first probe",
    )


@pytest.mark.needs("test_there_are_three_probes_for_each_ttl")
@pytest.mark.points(3)
@both_families
def test_the_way_is_found_up_to_the_host(lab: Lab, submission: Submission, name: str) -> None:
    """every router is named, then the host itself; there it ends, with exit status 0"""
    family = FAMILIES[name]
    program = start(submission, family.hops[-1])
    hint = (
        "routers send time exceeded, the host port unreachable; a raw socket of the right protocol "
        "gets both, also when the UDP socket is not connected"
    )
    for ttl, address in enumerate(family.hops, start=1):
        expect_equal(hop(program, ttl, hint), [address] * 3, f"TTL {ttl}", hint)
    hint = "port unreachable comes from the host: after that line there is nothing more to find"
    program.expect_exit(0, hint=hint)
    lines = program.stdout.decode().splitlines()
    expect_equal(len(lines), len(family.hops), "lines", hint)
    expect_equal(len(chain.probes(lab, family)), 3 * len(family.hops), "probes", hint)


@pytest.mark.needs("test_there_are_three_probes_for_each_ttl")
@pytest.mark.points(1)
def test_a_silent_router_is_passed(lab: Lab, submission: Submission) -> None:
    """a router that says nothing gets * * *, and the next TTL its turn"""
    # Two that are silent, so that there is no answer that could come late.
    silenced = {"drop": {"match": "icmp[0] == 11 and not src host " + IPV4.hops[2]}}
    hint = "after -W milliseconds without an answer print * and go on: silence is no end"
    with lab.faults({"r1->client": [silenced]}):
        program = start(submission, IPV4.hops[-1], hops=3, wait_ms=SHORT_MS)
        for ttl in (1, 2):
            said = hop(program, ttl, hint, within_s=2 * WITHIN_S)
            expect_equal(said, ["*"] * 3, f"TTL {ttl}, whose router is silent", hint)
        hop(program, 3, hint, within_s=2 * WITHIN_S)
        program.expect_exit(3, hint="-m 3: TTL 3 was the last, and it is not the host: 3")


@pytest.mark.needs("test_there_are_three_probes_for_each_ttl")
@pytest.mark.points(1)
def test_a_late_answer_is_not_taken_for_another(lab: Lab, submission: Submission) -> None:
    """an answer that comes too late is not taken for that of a later probe"""
    match = IPV4.silenced.format(IPV4.hops[0])
    held = {"hold": {"match": match, "packets": [1], "until": {"match": match}, "timeout": "20s"}}
    hint = (
        "the answer to the first probe comes right behind that to the second, when you wait for the "
        "third: the destination port in the quotation says which probe it is about"
    )
    with lab.faults({"r1->client": [held]}):
        program = start(submission, IPV4.hops[-1], hops=2, wait_ms=FAIR_MS)
        router, next_one = IPV4.hops[:2]
        said = hop(program, 1, hint, within_s=2 * WITHIN_S)
        expect_equal(said[0], "*", "TTL 1, first probe, whose answer is late", hint)
        # On a slow machine others may be late, too, and be missed: but none is another's.
        expect_equal(set(said[1:]) - {"*"}, {router}, "TTL 1, answers to the others", hint)
        said = hop(program, 2, hint, within_s=2 * WITHIN_S)
        expect_equal(set(said) - {"*"}, {next_one}, "TTL 2, answers", hint)


WRONG = {
    "another source port": "the source port is that of your UDP socket: others trace routes, too",
    "another destination port": "the destination port is 33434 and the number of the probe",
    "another destination address": "the quoted destination is ADDRESS",
    "TCP in place of UDP": "look at the quoted protocol before you read ports",
    "no ports, since the quotation is cut": "look at the length before you read the ports",
}


def wrong_quotation(family: Family, probe: chain.Probe, wrong: str, rng: random.Random) -> bytes:
    source, destination = probe.ports
    match wrong:
        case "another source port":
            return probe.quoted(source_port=source ^ 1)
        case "another destination port":
            return probe.quoted(destination_port=destination + rng.randrange(100, 1000))
        case "another destination address":
            return probe.quoted(destination=family.hops[2])
        case "TCP in place of UDP":
            return probe.quoted(protocol=socket.IPPROTO_TCP)
        case _:
            return probe.quoted()[: probe.header_bytes + 2]


@pytest.mark.needs("test_the_way_is_found_up_to_the_host")
@pytest.mark.points(1)
@both_families
def test_errors_about_other_packets_are_ignored(
    lab: Lab, submission: Submission, rng: random.Random, name: str
) -> None:
    """an error about a packet that is not the last probe is ignored"""
    family = FAMILIES[name]
    with lab.faults({"r1->client": [{"drop": {"match": family.silenced.format(family.hops[0])}}]}):
        program = start(submission, family.hops[-1], hops=1)
        seen = chain.probe(lab, family, 1, program)
        other, right = Router(lab, family, "r3"), Router(lab, family, "r2")
        # The code says in what the program prints which of them it believed.
        for code, wrong in enumerate(WRONG, start=20):
            quoted = wrong_quotation(family, seen, wrong, rng)
            other.send(family.unreachable, code, quoted)
        # Time exceeded as well, but while fragments were put together: nothing about the way.
        other.send(family.exceeded, 1, seen.quoted())
        # All of them first: behind the right one they would be about an earlier probe.
        chain.expect_arrived(lab, family, family.hops[2], len(WRONG) + 1)
        for number in (1, 2, 3):
            probe = chain.probe(lab, family, number, program)
            right.send(family.exceeded, 0, probe.quoted())
        said = hop(program, 1, QUOTED)
    for word in said:
        mark = re.search(r"!(\d+)$", word)
        if mark and 20 <= int(mark[1]) < 20 + len(WRONG):
            wrong = list(WRONG)[int(mark[1]) - 20]
            unmet(
                f"an error that quotes {wrong} is ignored",
                f"it is printed: {word}",
                WRONG[wrong],
            )
    expect_equal(said, [family.hops[1]] * 3, "TTL 1, answered by another router", QUOTED)


@pytest.mark.needs("test_the_way_is_found_up_to_the_host")
@pytest.mark.points(1)
@both_families
def test_the_end_of_the_way_is_marked(lab: Lab, submission: Submission, name: str) -> None:
    """a router that says that there is no way on gets its mark, and there it ends, with 3"""
    family = FAMILIES[name]
    hint = (
        "unreachable with another code than port unreachable: the marks are in README.md; all three "
        "probes are sent, then it ends"
    )
    # A real one: r2 has no route there.
    program = start(submission, family.nowhere)
    expect_equal(hop(program, 1, hint), [family.hops[0]] * 3, "TTL 1", hint)
    expect_equal(hop(program, 2, hint), [f"{family.hops[1]}!N"] * 3, "TTL 2, without a route", hint)
    program.expect_exit(3, hint=hint)

    unreachable, router = family.unreachable, family.hops[1]
    answers = [(unreachable, code) for code, _ in family.marks]
    wanted = [f"{router}{mark}" for _, mark in family.marks]
    expect_last_line(lab, submission, family, answers, wanted, 3, hint)
    code, mark = family.other_mark
    answers = [(unreachable, code), (unreachable, family.port_code), (family.exceeded, 0)]
    wanted = [f"{router}{mark}", router, router]
    hint = "what any of the three says counts: it ends there, with 0 if one said port unreachable"
    expect_last_line(lab, submission, family, answers, wanted, 0, hint)


def expect_last_line(
    lab: Lab,
    submission: Submission,
    family: Family,
    answers: list[tuple[int, int]],
    wanted: list[str],
    exit_status: int,
    hint: str,
) -> None:
    """Trace a way of which r2 answers the first three probes as told; there it has to end."""
    before = len(chain.probes(lab, family))
    with lab.faults({"r1->client": [{"drop": {"match": family.silenced.format(family.hops[0])}}]}):
        program = start(submission, family.hops[-1])
        router = Router(lab, family, "r2")
        for number, (kind, code) in enumerate(answers, start=1):
            probe = chain.probe(lab, family, before + number, program)
            router.send(kind, code, probe.quoted())
        expect_equal(hop(program, 1, hint), wanted, "TTL 1, answered by the check", hint)
        program.expect_exit(exit_status, hint=hint)
    expect_equal(len(program.stdout.splitlines()), 1, "lines", hint)


def be_late(program: Program) -> None:
    """Let some time go by from when the program waits: it has looked at its clock before."""
    worked_s = program.cpu_seconds()
    until(lambda: program.is_asleep() or program.cpu_seconds() >= worked_s + WORK_S, WITHIN_S)
    waits_since = time.monotonic()
    until(lambda: time.monotonic() >= waits_since + LATE_MS / 1000, WITHIN_S)


@pytest.mark.needs("test_the_way_is_found_up_to_the_host")
@pytest.mark.points(1)
def test_a_line_is_told_at_once(lab: Lab, submission: Submission) -> None:
    """a line is told before the next TTL is waited for, and its times are microseconds"""
    silenced = {"drop": {"match": IPV4.silenced.format(IPV4.hops[0])}}
    hint = "write and flush the line of a TTL before you wait for an answer to the next one"
    with lab.faults({"r1->client": [silenced], "r1->r2": [{"drop": {"match": IPV4.probes}}]}):
        started = time.monotonic()
        program = start(submission, IPV4.hops[-1], hops=2)
        router = Router(lab, IPV4, "r2")
        for number in (1, 2, 3):
            probe = chain.probe(lab, IPV4, number, program)
            if number == 1:
                be_late(program)
            router.send(IPV4.exceeded, 0, probe.quoted())
        # Of TTL 2 it hears nothing, for longer than the check waits here.
        said = hop(program, 1, hint)
        most = int((time.monotonic() - started) * 10**6)
        chain.probe(lab, IPV4, 4, program)
        until(lambda: lab.packets(IPV4.probes, sent_by="r1"), WITHIN_S)
    expect_equal(said, [IPV4.hops[1]] * 3, "TTL 1, answered by the check", QUOTED)
    took = int(program.stdout.split(b"=")[1].split()[0])
    # Half of it, should the program's clock be set right in the meantime.
    expect(
        LATE_MS * 1000 // 2 <= took <= most,
        expected=f"about {LATE_MS * 1000} for the first probe, answered {LATE_MS} ms later; not "
        f"more than {most}, the time since the program was started",
        actual=str(took),
        hint="microseconds: seconds times 1 000 000, nanoseconds by 1000",
    )


@pytest.mark.needs("test_there_are_three_probes_for_each_ttl")
@pytest.mark.points(1)
def test_it_ends_where_it_was_told_to(lab: Lab, submission: Submission) -> None:
    """it goes no further than -m, and says by its exit status that the host was not reached"""
    program = start(submission, IPV4.hops[-1], hops=2)
    hint = "-m is the last TTL; exit 0 is for a host that was reached, 3 for all else"
    program.expect_exit(3, hint=hint)
    expect_equal(len(chain.probes(lab, IPV4)), 6, "probes with -m 2", hint)
    expect_equal(len(program.stdout.splitlines()), 2, "lines with -m 2", hint)
