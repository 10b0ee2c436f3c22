"""Checks of rudp. The contract is in README.md."""

import random
import time
from collections import Counter
from itertools import pairwise

import pytest
import rudp1
from rudp1 import ACK, DATA, FIN, SYN, Receiver, Sender

from labctl.testing import WITHIN_S, Lab, Submission, expect, expect_equal, until


@pytest.mark.points(1)
def test_the_sender_speaks_rudp(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the sender sends SYN, its input in DATA, and FIN"""
    content = rng.randbytes(rng.randrange(5001, 6000))
    receiver = Receiver(lab, submission, content)
    got = receiver.take_the_rest("send DATA when SYN is acknowledged, and FIN after the last")
    expect_equal(len(got), len(content), "bytes in all DATA together", "all of stdin")
    expect_equal(got, content, "what is in DATA, in the order of seq", "all of stdin, in order")


@pytest.mark.needs("test_the_sender_speaks_rudp")
@pytest.mark.points(1)
def test_each_run_of_the_sender_is_another_connection(lab: Lab, submission: Submission) -> None:
    """each run of the sender has a conn and a first number of its own"""
    runs = []
    for _ in range(2):
        began_s = int(time.time())
        receiver = Receiver(lab, submission, b"short")
        receiver.take_the_rest("send DATA when SYN is acknowledged, and FIN after the last")
        receiver.udp.close()
        runs.append(receiver)
        # A generator whose seed is the time in seconds may give the same again until that is over.
        until(lambda: int(time.time()) > began_s, WITHIN_S)  # noqa: B023
    one, other = runs
    for what, first, second in (
        ("conn", one.conn, other.conn),
        ("the number of SYN", one.isn, other.isn),
    ):
        expect(
            first != second,
            expected=f"{what} is random: two runs have different ones",
            actual=f"{first} in both",
            hint="a packet of an earlier run may still be on its way: nobody must take it for one of "
            "this run (os.urandom(), getrandom(2), or rand() with a seed)",
        )


@pytest.mark.needs("test_the_sender_speaks_rudp")
@pytest.mark.points(1)
@pytest.mark.parametrize("answers_syn", [False, True], ids=["from the start", "after SYN"])
def test_the_sender_gives_up(lab: Lab, submission: Submission, answers_syn: bool) -> None:
    """the sender waits longer and longer for an answer, and gives up in the end"""
    tries = 12
    for wait_ms in (25, 75):
        options = ("-t", str(wait_ms), "-n", str(tries))
        receiver = Receiver(lab, submission, bytes(20_000), *options)
        if answers_syn:
            receiver.ack(1, wnd=10)
        hint = "TRIES waits without any ACK, each of at most 8 x MS: exit status 3"
        receiver.program.expect_exit(3, hint=hint, within_s=2 * WITHIN_S)
        receiver.udp.close()
        first = (receiver.isn + 1) % rudp1.NUMBERS if answers_syn else receiver.isn
        sent = rudp1.on_the_wire(lab, "client", receiver.conn)
        times = [time_s for time_s, packet in sent if packet.seq == first]
        # On a slow machine the ACK may come when the program has given up.
        if times:
            break

    hint = "send it, and after each wait but the last again; no ACK of any kind has come"
    expect_equal(len(times), tries, "copies of the first packet that is not acknowledged", hint)
    # Waits of 1, 2 and 4 times -t, and eight of 8 times. Where a copy is late, one wait is longer and
    # the next may be shorter; the one in the middle is neither.
    waits = sorted(after - before for before, after in pairwise(times))
    middle_ms = waits[len(waits) // 2] * 1000
    expect(
        middle_ms >= 5 * wait_ms,
        expected=f"most copies come {8 * wait_ms} ms after the one before",
        actual=f"{middle_ms:.0f} ms",
        hint="double the wait each time: whoever sends on at the same pace keeps a queue full",
    )
    others = [p.seq for _, p in sent if p.type != SYN and p.seq != first]
    expect_equal(
        len(others),
        len(set(others)),
        "copies of all other packets",
        "after a wait send only the first packet that is not acknowledged: the others may be there",
    )


@pytest.mark.needs("test_the_sender_speaks_rudp")
@pytest.mark.points(1)
def test_the_sender_waits_for_a_late_receiver(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the sender waits for a receiver that is started later"""
    content = rng.randbytes(2500)
    options = ("-t", "50", "-n", "200")
    receiver = Receiver(lab, submission, content, *options, refuses_first=True)
    got = receiver.take_the_rest(rudp1.LATE)
    expect_equal(got, content, "what is in DATA, in the order of seq", rudp1.LATE)


@pytest.mark.needs("test_the_sender_gives_up")
@pytest.mark.points(1)
def test_the_sender_keeps_to_the_window(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the sender keeps as many packets under way as the window allows, and no more"""
    content = rng.randbytes(20_000)
    tries = 20  # in which it would give up after some three seconds
    receiver = Receiver(lab, submission, content, "-t", "20", "-n", str(tries))
    receiver.ack(1, wnd=8)
    # A further copy of a packet comes when the sender has nothing else to do.
    hint = "wnd is 8: send 8 packets without waiting for an ACK"
    receiver.until_came(8, 1, hint)
    receiver.until_came(1, receiver.came.count(1) + 2, hint)
    expect_equal(sorted(set(receiver.came) - {0}), list(range(1, 9)), "sent with wnd 8", hint)
    receiver.ack(4, wnd=8)
    hint = "three more are acknowledged, so the window ends three further on"
    receiver.until_came(11, 1, hint)
    receiver.until_came(4, receiver.came.count(4) + 2, hint)
    expect_equal(max(receiver.came), 11, "the last packet, with ack 4 and wnd 8", hint)

    receiver.ack(12, wnd=0)
    hint = (
        "wnd is 0, and all is acknowledged: after each wait send the next packet as a probe, and "
        "only this one, since the ACK that opens the window may be lost"
    )
    for _ in range(tries + 2):  # more than the tries: each is answered
        receiver.until_came(12, receiver.came.count(12) + 1, hint)
        receiver.ack(12, wnd=0)
    expect_equal(max(receiver.came), 12, "the last packet, with ack 12 and wnd 0", hint)
    receiver.ack(12, wnd=4)
    receiver.until_came(15, 1, "the window is open again: go on at once")
    got = receiver.take_the_rest("go on to the end")
    expect_equal(got, content, "what is in DATA, in the order of seq", "all of stdin, in order")


@pytest.mark.needs("test_the_sender_keeps_to_the_window")
@pytest.mark.points(1)
def test_the_sender_believes_no_stranger(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the sender believes no ACK that is damaged, of another connection, or impossible"""
    content = rng.randbytes(3500)
    receiver = Receiver(lab, submission, content, "-t", "20", "-n", "30")
    receiver.ack(1, wnd=2)
    hint = "send DATA when SYN is acknowledged"
    receiver.until_came(2, 1, hint)
    # All of these are there before it goes on; the copies that it has sent by now say nothing.
    receiver.program.freeze()
    receiver.udp.waiting()
    # FIN would be number 5. Whoever believes one of these goes on with nothing delivered.
    receiver.ack(3, wnd=9, damage=1 << rng.randrange(32))
    receiver.ack(3, wnd=9, conn=receiver.conn ^ 1)
    receiver.ack(6, wnd=9)
    receiver.ack(0, wnd=9)
    stranger = rudp1.pack(DATA, receiver.conn, ack=receiver.isn + 3, wnd=9, payload=b"x")
    receiver.udp.send(stranger, to=receiver.sender)
    hint = (
        "check crc, type and conn; an ack counts when it lies between the first packet that is not "
        "acknowledged and the first that was never sent: compare differences modulo 2^32"
    )
    rudp1.let_all_arrive(lab, sent_by="server", received_by="client")
    receiver.program.thaw()
    # One copy may have been on its way, and another one may be sent before it receives anything.
    receiver.until_came(1, receiver.came.count(1) + 4, hint)
    expect_equal(max(receiver.came), 2, "the last packet, with ack 1 and wnd 2", hint)
    got = receiver.take_the_rest(hint)
    expect_equal(got, content, "what is in DATA, in the order of seq", hint)


@pytest.mark.points(1)
def test_the_receiver_speaks_rudp(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the receiver acknowledges SYN, DATA and FIN, writes what came, and answers once more"""
    sender = Sender(lab, submission, rng, "-w", "5", "-l", "1500")
    hint = "each packet is answered with one ACK; ack is the number after the last in order"
    for _ in range(2):
        sender.send(SYN, 0)
        sender.expect_ack(1, 5, "the same SYN again: its ACK was lost")
    parts = [rng.randbytes(size) for size in (1000, 1000, 1, rng.randrange(2, 1000))]
    for number, part in enumerate(parts, start=1):
        sender.send(DATA, number, part)
        sender.expect_ack(number + 1, 5, hint)
    content = b"".join(parts)
    rudp1.expect_written(sender.program, content, "write what is in order at once")
    fin = len(parts) + 1
    sender.program.freeze()
    for _ in range(2):
        sender.send(FIN, fin)
    # The second one is there before the first is seen: no time passes between them.
    rudp1.let_all_arrive(lab, sent_by="client", received_by="server")
    sender.program.thaw()
    sender.expect_ack(fin + 1, 5, "FIN has a number, too")
    hint = "the last ACK may be lost, and FIN come again: stay for the time of -l and answer it"
    sender.expect_ack(fin + 1, 5, hint)
    ended = sender.program.expect_exit(0, hint="when nothing has come for the time of -l: exit 0")
    expect_equal(ended.stdout, content, "stdout", "each packet once")


@pytest.mark.needs("test_the_receiver_speaks_rudp")
@pytest.mark.points(1)
def test_the_receiver_sorts_what_comes(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the receiver sorts what comes in disorder, twice, or too early"""
    # The numbers go round after the second DATA.
    sender = Sender(lab, submission, rng, "-w", "4", "-l", "20", isn=rudp1.NUMBERS - 3)
    parts = [b""] + [rng.randbytes(rng.randrange(1, 1001)) for _ in range(9)]

    def give(number: int, ack: int, hint: str) -> None:
        kind = DATA if number < len(parts) else FIN
        sender.send(kind, number, parts[number] if kind == DATA else b"")
        sender.expect_ack(ack, 4, hint)

    sender.send(SYN, 0)
    sender.expect_ack(1, 4, "SYN takes a number")
    keep = "packets behind a gap are kept as far as the window goes, and need not come again"
    give(3, 1, keep)
    give(4, 1, keep)
    give(3, 1, "a packet that is there already is answered with the same ACK")
    give(5, 1, "wnd is 4: from 1 on these are 1 to 4, and 5 is dropped")
    give(2, 1, keep)
    give(1, 5, "the gap is closed: 1 to 4 are there; numbers go round after 4294967295")
    give(1, 5, "an old packet is answered, too: its ACK may have been lost; and is not written")
    give(4, 5, "an old packet is answered, too")
    give(6, 5, keep)
    give(5, 7, "5 was dropped before and comes now; 6 was kept")
    give(7, 8, keep)
    give(10, 8, "FIN may come before the last DATA, and waits for it")
    give(9, 8, keep)
    give(8, 11, "now all is there, with FIN")
    hint = "write each packet once, in the order of seq"
    ended = sender.program.expect_exit(0, hint="FIN has come, and nothing more: exit status 0")
    content = b"".join(parts)
    expect_equal(len(ended.stdout), len(content), "bytes on stdout", hint)
    expect_equal(ended.stdout, content, "stdout", hint)


@pytest.mark.needs("test_the_receiver_speaks_rudp")
@pytest.mark.points(1)
def test_the_receiver_believes_no_stranger(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the receiver believes nothing that is damaged, or not of its connection"""
    sender = Sender(lab, submission, rng, "-l", "20")
    stranger = lab["client"].udp()
    bad = 1 << rng.randrange(32)
    sender.send(DATA, 1, b"before the connection")
    sender.send(SYN, 0, damage=bad)
    sender.send(SYN, 0)
    hint = "without a connection only a good SYN is answered; then check crc, conn and the sender"
    sender.expect_ack(1, 32, hint)
    sender.send(DATA, 1, b"damaged", damage=bad)
    sender.send(DATA, 1, b"of another connection", conn=sender.conn ^ 1)
    sender.send(DATA, 1, b"of another sender", by=stranger)
    sender.send(SYN, 7, conn=sender.conn ^ 1)
    sender.send(SYN, 7, by=stranger)
    sender.send(SYN, 7)
    sender.send(ACK, 1)
    sender.send(DATA, 1)
    sender.udp.send(b"", to=rudp1.RECEIVER)
    sender.udp.send(b"R\2" + bytes(14), to=rudp1.RECEIVER)
    sender.udp.send(
        rudp1.pack(DATA, sender.conn, seq=sender.isn + 1, payload=bytes(1001)), to=rudp1.RECEIVER
    )
    # Datagrams are taken in order: an answer to one of those would come before this one.
    sender.send(DATA, 1, b"good")
    sender.expect_ack(2, 32, hint)
    sender.finish(2, 32)
    expect_equal(stranger.waiting(), [], "answers to another sender", hint)
    expect_equal(sender.program.stdout, b"good", "stdout", hint)


@pytest.mark.needs("test_the_sender_believes_no_stranger")
@pytest.mark.needs("test_the_receiver_sorts_what_comes")
@pytest.mark.points(2)
def test_a_file_goes_through_a_bad_link(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a file arrives whole over a link that loses, doubles and swaps, and without a storm"""
    content = rng.randbytes(80_000)
    receiver = rudp1.start_receiver(lab, submission, "-w", "16", "-l", "60000")
    match = f"udp port {rudp1.PORT}"
    rules = [
        {"drop": {"match": match, "p": "20%"}},
        {"duplicate": {"match": match, "p": "10%"}},
        {"swap": {"match": match, "p": "20%"}},
    ]
    with lab.faults({"client->server": rules, "server->client": rules}):
        ended = submission.run(
            "client",
            "rudp_send",
            *map(str, rudp1.RECEIVER),
            "-t",
            "40",
            "-n",
            "30",
            feed=content,
            within_s=6 * WITHIN_S,
        )
        expect_equal(
            (ended.exit_status, ended.stderr.decode(errors="backslashreplace")),
            (0, ""),
            "exit status and stderr of rudp_send",
            "a fifth of all packets is lost in each direction: send again what is not acknowledged",
        )
    rudp1.expect_written(receiver, content, "each packet once, in the order of seq")
    sent = rudp1.on_the_wire(lab, "client")
    # In this order: what comes meanwhile is answered, too.
    answers = lab.packets(match, sent_by="server")
    came = lab.packets(match, received_by="server")
    needed = len({packet.seq for _, packet in sent})
    expect(
        len(sent) <= 3 * needed,
        expected=f"at most {3 * needed} datagrams for {needed} packets, where a fifth is lost",
        actual=f"{len(sent)}",
        hint="send again the first packet that is not acknowledged, and no other",
    )
    expect(
        len(answers) <= len(came),
        expected=f"at most one ACK for each of the {len(came)} packets that came",
        actual=f"{len(answers)}",
        hint="the receiver has no clock: it speaks when it is spoken to",
    )


@pytest.mark.needs("test_the_sender_believes_no_stranger")
@pytest.mark.needs("test_the_receiver_sorts_what_comes")
@pytest.mark.points(1)
def test_a_frozen_receiver_is_waited_for(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a receiver that stands still for a while is waited for, and not flooded"""
    # So much fits into the pipe: it may be read as the window allows, and not all of it at first.
    content = rng.randbytes(60_000)
    receiver = rudp1.start_receiver(lab, submission, "-w", "8", "-l", "60000")
    sender = submission.start(
        "client", "rudp_send", *map(str, rudp1.RECEIVER), "-t", "40", "-n", "100", ready=False
    )

    def sent() -> int:
        return len(lab.packets(f"udp port {rudp1.PORT}", sent_by="client"))

    # A round trip takes a while, so that the receiver stops with half of the file.
    slow = {"delay": {"match": f"udp port {rudp1.PORT}", "by": "20ms"}}
    with lab.faults({"server->client": [slow]}):
        # It reads all of its input first, or it does not: SYN may be sent before the receiver stops.
        receiver.freeze()
        sender.write(content)
        sender.end_input()
        expect(
            until(lambda: sent() >= 4, WITHIN_S),
            expected="SYN is sent again while nobody answers",
            actual=f"{sent()} packets were sent",
            hint="SYN is kept and sent again as any other packet",
        )
        receiver.thaw()
        until(lambda: len(receiver.stdout) > 10_000 or not sender.is_running(), WITHIN_S)
        receiver.freeze()
        before = {packet.seq for _, packet in rudp1.on_the_wire(lab, "client")}
        count = sent()

        def third_copy() -> bool:
            copies = Counter(packet.seq for _, packet in rudp1.on_the_wire(lab, "client")[count:])
            return max(copies.values(), default=0) >= 3

        # By then it has sent all that it wants to send.
        until(lambda: third_copy() or not sender.is_running(), WITHIN_S)
        new = {packet.seq for _, packet in rudp1.on_the_wire(lab, "client")} - before
        expect(
            len(new) <= 8,
            expected="with wnd 8 at most 8 new packets while the receiver stands still",
            actual=f"{len(new)}",
            hint="the window says how many packets may be under way",
        )
    receiver.thaw()
    hint = "it answers again in the end: all of the file arrives"
    sender.expect_exit(0, hint=hint, within_s=3 * WITHIN_S)
    rudp1.expect_written(receiver, content, hint)
