"""Checks of tcp_fsm. The contract is in README.md."""

import random

import pytest
from fsm_script import ACCEPTED, CLOSE_WAIT, CLOSING, ENDS, FIN_WAIT_1, OPENED, numbers, play
from kernel_walk import close_at_once, connect, refuse, replay

from labctl.testing import Lab, Submission


@pytest.mark.points(2)
def test_two_ends_open(submission: Submission, rng: random.Random) -> None:
    """two ends open a connection: one connects, one listens"""
    x, y = numbers(rng)
    hint = "SYN takes one sequence number: the next one is x+1, and the ACK of it says y+1"
    play(submission, OPENED + "send 5 -> ESTABLISHED > ACK seq=x+1 ack=y+1 len=5", x, y, hint)
    play(
        submission,
        f"""
        {ACCEPTED}
        < ACK seq=y+1 ack=x+1 len=10 -> ESTABLISHED > ACK seq=x+1 ack=y+11
        send 7                       -> ESTABLISHED > ACK seq=x+1 ack=y+11 len=7
        send 1                       -> ESTABLISHED > ACK seq=x+8 ack=y+11 len=1
        < ACK seq=y+11 ack=x+9       -> ESTABLISHED
        listen                       -> ESTABLISHED ! EINVAL
        """,
        x,
        y,
        hint,
    )
    play(
        submission,
        """
        listen                       -> LISTEN
        close                        -> CLOSED
        connect                      -> SYN-SENT > SYN seq=x
        close                        -> CLOSED
        close                        -> CLOSED ! EINVAL
        """,
        x,
        y,
        "before a connection is there, nobody has to be told that it is over",
    )


@pytest.mark.needs("test_two_ends_open")
@pytest.mark.points(1)
def test_two_ends_close(submission: Submission, rng: random.Random) -> None:
    """two ends close a connection, one after the other"""
    x, y = numbers(rng)
    hint = "who closes first goes by FIN-WAIT to TIME-WAIT, the other by CLOSE-WAIT to LAST-ACK"
    play(
        submission,
        f"""
        {OPENED}
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        < ACK seq=y+1 ack=x+2        -> FIN-WAIT-2
        < ACK seq=y+1 ack=x+2 len=9  -> FIN-WAIT-2 > ACK seq=x+2 ack=y+10
        send 1                       -> FIN-WAIT-2 ! EINVAL
        < FIN,ACK seq=y+10 ack=x+2   -> TIME-WAIT > ACK seq=x+2 ack=y+11 @2MSL
        2msl                         -> CLOSED
        """,
        x,
        y,
        hint,
    )
    play(
        submission,
        f"""
        {ACCEPTED}
        < FIN,ACK seq=y+1 ack=x+1    -> CLOSE-WAIT > ACK seq=x+1 ack=y+2
        send 3                       -> CLOSE-WAIT > ACK seq=x+1 ack=y+2 len=3
        close                        -> LAST-ACK > FIN,ACK seq=x+4 ack=y+2
        < ACK seq=y+2 ack=x+5        -> CLOSED
        """,
        x,
        y,
        hint,
    )
    play(
        submission,
        f"{OPENED} < FIN,ACK seq=y+1 ack=x+1 len=5 -> CLOSE-WAIT > ACK seq=x+1 ack=y+7",
        x,
        y,
        "FIN comes after the data of its segment, and takes one number: one ACK for both",
    )
    play(
        submission,
        f"""
        {OPENED}
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        < FIN,ACK seq=y+1 ack=x+2    -> TIME-WAIT > ACK seq=x+2 ack=y+2 @2MSL
        """,
        x,
        y,
        "the ACK comes before the FIN: this segment acknowledges ours, so both are done",
    )


@pytest.mark.needs("test_two_ends_close")
@pytest.mark.points(1)
def test_both_do_it_at_once(submission: Submission, rng: random.Random) -> None:
    """both ends connect, or close, at the same time"""
    x, y = numbers(rng)
    play(
        submission,
        """
        connect                      -> SYN-SENT > SYN seq=x
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        < SYN,ACK seq=y ack=x+1      -> ESTABLISHED
        send 1                       -> ESTABLISHED > ACK seq=x+1 ack=y+1 len=1
        """,
        x,
        y,
        "RFC 9293, figure 7: the two SYNs cross; each goes out again, with an ACK",
    )
    play(
        submission,
        f"""
        {OPENED}
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        < FIN,ACK seq=y+1 ack=x+1    -> CLOSING > ACK seq=x+2 ack=y+2
        < ACK seq=y+2 ack=x+2        -> TIME-WAIT @2MSL
        """,
        x,
        y,
        "RFC 9293, figure 13: the two FINs cross; TIME-WAIT begins when ours is acknowledged",
    )


@pytest.mark.points(1)
def test_what_nobody_waits_for_is_refused(submission: Submission, rng: random.Random) -> None:
    """what nobody waits for is refused with RST, and RST never is"""
    x, y = numbers(rng)
    z = rng.randrange(1, 2**31)
    hint = (
        "RST needs a number that the other end believes: the one that it acknowledged, "
        "or else 0 with an ACK of all that it sent; RST itself is never answered"
    )
    play(
        submission,
        f"""
        < SYN seq=y                  -> CLOSED > RST,ACK seq=0 ack=y+1
        < ACK seq=y ack={z}          -> CLOSED > RST seq={z}
        < FIN,ACK seq=y ack={z}      -> CLOSED > RST seq={z}
        < RST seq=y                  -> CLOSED
        < RST,ACK seq=y ack={z}      -> CLOSED
        listen                       -> LISTEN
        < ACK seq=y ack={z}          -> LISTEN > RST seq={z}
        < RST seq=y                  -> LISTEN
        < FIN seq=y                  -> LISTEN
        close                        -> CLOSED
        connect                      -> SYN-SENT > SYN seq=x
        < SYN,ACK seq=y ack=x+2      -> SYN-SENT > RST seq=x+2
        < RST,ACK seq=y ack=x+2      -> SYN-SENT
        < ACK seq=y ack=x            -> SYN-SENT > RST seq=x
        """,
        x,
        y,
        hint,
    )


@pytest.mark.needs("test_both_do_it_at_once")
@pytest.mark.points(1)
def test_a_reset_is_believed(submission: Submission, rng: random.Random) -> None:
    """a reset ends what it should, and the user hears of it where there is one"""
    x, y = numbers(rng)
    play(
        submission,
        f"""
        connect                      -> SYN-SENT > SYN seq=x
        < RST seq=y                  -> SYN-SENT
        < RST,ACK seq=0 ack=x+1      -> CLOSED ! ECONNREFUSED
        listen                       -> LISTEN
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        < RST seq=y+1                -> LISTEN
        {ACCEPTED.replace("listen                           -> LISTEN", "").strip()}
        < RST seq=y+1                -> CLOSED ! ECONNRESET
        """,
        x,
        y,
        "in SYN-SENT only with the ACK of our SYN; in SYN-RECEIVED a listener goes on listening",
    )
    play(
        submission,
        f"""
        connect                      -> SYN-SENT > SYN seq=x
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        < RST seq=y+1                -> CLOSED ! ECONNREFUSED
        {OPENED.strip()}
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        < FIN,ACK seq=y+1 ack=x+1    -> CLOSING > ACK seq=x+2 ack=y+2
        < RST seq=y+2                -> CLOSED
        {OPENED.strip()}
        abort                        -> CLOSED > RST seq=x+1
        connect                      -> SYN-SENT > SYN seq=x
        abort                        -> CLOSED
        """,
        x,
        y,
        "who was connecting is told; who has closed already, and is only waiting, is not",
    )


@pytest.mark.needs("test_a_reset_is_believed")
@pytest.mark.points(1)
def test_each_state_ends_in_its_way(submission: Submission, rng: random.Random) -> None:
    """each state ends in its way when a reset comes, or when the user gives up"""
    x, y = numbers(rng)
    script = "".join(
        f"{way}\n< RST seq={reset}\n{way}\nabort -> {end}\n" for way, reset, end in ENDS
    )
    hint = "in which states has the user not been told yet that all is over, or the other end?"
    play(submission, script, x, y, hint)


@pytest.mark.needs("test_both_do_it_at_once")
@pytest.mark.points(1)
def test_each_state_takes_its_segments(submission: Submission, rng: random.Random) -> None:
    """each state takes what the other end may still send, and answers what it has sent again"""
    x, y = numbers(rng)
    play(
        submission,
        f"""
        listen                       -> LISTEN
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        < ACK seq=y+1 ack=x+1 len=5  -> ESTABLISHED > ACK seq=x+1 ack=y+6
        abort                        -> CLOSED > RST seq=x+1
        {FIN_WAIT_1}
        < ACK seq=y+1 ack=x+1 len=5  -> FIN-WAIT-1 > ACK seq=x+2 ack=y+6
        abort                        -> CLOSED > RST seq=x+2
        {CLOSING}
        < FIN,ACK seq=y+1 ack=x+1    -> CLOSING > ACK seq=x+2 ack=y+2
        abort                        -> CLOSED
        {CLOSE_WAIT}
        < FIN,ACK seq=y+1 ack=x+1    -> CLOSE-WAIT > ACK seq=x+1 ack=y+2
        < FIN,ACK seq=y+2 ack=x+1    -> CLOSE-WAIT
        < ACK seq=y+2 ack=x+1 len=5  -> CLOSE-WAIT
        send 3                       -> CLOSE-WAIT > ACK seq=x+1 ack=y+2 len=3
        close                        -> LAST-ACK > FIN,ACK seq=x+4 ack=y+2
        < ACK seq=y+2 ack=x+4        -> LAST-ACK
        < ACK seq=y+2 ack=x+5        -> CLOSED
        """,
        x,
        y,
        "after its FIN the other end has nothing new to say, before it much; what is behind RCV.NXT gets "
        "an ACK in each of these states",
    )


@pytest.mark.needs("test_two_ends_open")
@pytest.mark.points(1)
def test_what_is_no_event_changes_nothing(submission: Submission, rng: random.Random) -> None:
    """what is no event, or comes at the wrong time, changes nothing"""
    _, y = numbers(rng)
    play(
        submission,
        """
        nonsense                     -> error: ...
        connect                      -> SYN-SENT > SYN seq=x
        nonsense                     -> error: ...
        send 1                       -> SYN-SENT ! EINVAL
        close                        -> CLOSED
        listen                       -> LISTEN
        connect                      -> LISTEN ! EINVAL
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        """,
        1000,
        y,
        "answer with a line that begins with `error: `, and read on; ISS is 1000 if it is not said",
        tells_x=False,
    )


@pytest.mark.needs("test_two_ends_close")
@pytest.mark.points(1)
def test_numbers_decide(submission: Submission, rng: random.Random) -> None:
    """a segment with the wrong numbers changes nothing"""
    x, y = numbers(rng)
    play(
        submission,
        f"""
        {OPENED}
        send 10                      -> ESTABLISHED > ACK seq=x+1 ack=y+1 len=10
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+11 ack=y+1
        < ACK seq=y+1 ack=x+6        -> FIN-WAIT-1
        < ACK seq=y+1 ack=x+11       -> FIN-WAIT-1
        < ACK seq=y+6 ack=x+12       -> FIN-WAIT-2
        < FIN,ACK seq=y+6 ack=x+12   -> FIN-WAIT-2 > ACK seq=x+12 ack=y+1
        < FIN,ACK seq=y+1 ack=x+12 len=5 -> TIME-WAIT > ACK seq=x+12 ack=y+7 @2MSL
        """,
        x,
        y,
        "FIN-WAIT-1 ends with the ACK of the FIN, whatever else is still missing; FIN itself waits its turn",
    )
    play(
        submission,
        f"""
        {ACCEPTED}
        < ACK seq=y-4 ack=x+1 len=5  -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < ACK seq=y+11 ack=x+1 len=5 -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < FIN,ACK seq=y+9 ack=x+1    -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < ACK seq=y+1 ack=x+2 len=5  -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < FIN seq=y+1                -> ESTABLISHED
        """,
        x,
        y,
        "data and FIN that do not begin at the number that comes next get an ACK, and are dropped",
    )
    play(
        submission,
        f"""
        {OPENED}
        < RST seq=y                  -> ESTABLISHED
        < RST seq=y+70000            -> ESTABLISHED
        < RST seq=y+65536            -> ESTABLISHED
        < RST seq=y+65535            -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < RST seq=y+2                -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < SYN seq=y+1                -> ESTABLISHED > ACK seq=x+1 ack=y+1
        < RST seq=y+1                -> CLOSED ! ECONNRESET
        """,
        x,
        y,
        "RFC 5961: a reset counts with exactly the next number; in the window it is questioned by ACK",
    )
    play(
        submission,
        """
        listen                       -> LISTEN
        < SYN seq=y                  -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
        < ACK seq=y+1 ack=x          -> SYN-RECEIVED > RST seq=x
        < SYN seq=y                  -> SYN-RECEIVED > ACK seq=x+1 ack=y+1
        < ACK seq=y+1 ack=x+1        -> ESTABLISHED
        """,
        x,
        y,
        "only the ACK of our SYN opens the connection",
    )


@pytest.mark.needs("test_two_ends_close")
@pytest.mark.points(1)
def test_time_wait(submission: Submission, rng: random.Random) -> None:
    """in TIME-WAIT it answers the other end's FIN once more, and then waits anew"""
    x, y = numbers(rng)
    play(
        submission,
        f"""
        {OPENED}
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1
        < ACK seq=y+1 ack=x+2        -> FIN-WAIT-2
        2msl                         -> FIN-WAIT-2 ! EINVAL
        < FIN,ACK seq=y+1 ack=x+2    -> TIME-WAIT > ACK seq=x+2 ack=y+2 @2MSL
        < FIN,ACK seq=y+1 ack=x+2    -> TIME-WAIT > ACK seq=x+2 ack=y+2 @2MSL
        < ACK seq=y+1 ack=x+2        -> TIME-WAIT > ACK seq=x+2 ack=y+2
        close                        -> TIME-WAIT ! EINVAL
        2msl                         -> CLOSED
        < FIN,ACK seq=y+1 ack=x+2    -> CLOSED > RST seq=x+2
        """,
        x,
        y,
        "this is what TIME-WAIT is for: the last ACK can be lost, and nobody acknowledges an ACK",
    )


@pytest.mark.needs("test_numbers_decide")
@pytest.mark.points(1)
def test_numbers_go_round(submission: Submission, rng: random.Random) -> None:
    """sequence numbers go round: after 4294967295 comes 0"""
    script = f"""
        {OPENED}
        send 10                      -> ESTABLISHED > ACK seq=x+1 ack=y+1 len=10
        < ACK seq=y+1 ack=x+11 len=9 -> ESTABLISHED > ACK seq=x+11 ack=y+10
        < ACK seq=y+1 ack=x+11 len=9 -> ESTABLISHED > ACK seq=x+11 ack=y+10
        < ACK seq=y+10 ack=x+12      -> ESTABLISHED > ACK seq=x+11 ack=y+10
        close                        -> FIN-WAIT-1 > FIN,ACK seq=x+11 ack=y+10
        < ACK seq=y+10 ack=x+5       -> FIN-WAIT-1
        < FIN,ACK seq=y+10 ack=x+12  -> TIME-WAIT > ACK seq=x+12 ack=y+11 @2MSL
    """
    hint = (
        "count modulo 2**32, and compare by the difference: is it less than half the circle ahead?"
    )
    end = 2**32
    for x in (end - 1, end - rng.randrange(2, 11), rng.randrange(1000, 2**31)):
        play(submission, script, x, end - rng.randrange(1, 10), hint)


@pytest.mark.needs("test_both_do_it_at_once")
@pytest.mark.points(1)
def test_the_kernel_takes_the_same_way(lab: Lab, submission: Submission) -> None:
    """two sockets of the kernel go the same way, segment for segment"""
    refused = refuse(lab)
    closed_at_once = close_at_once(lab, connect(lab))
    for walk in (refused, closed_at_once):
        for node in ("client", "server"):
            replay(submission, walk, node)
