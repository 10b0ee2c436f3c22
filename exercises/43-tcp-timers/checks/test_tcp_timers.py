"""Checks of tcp_timers. The contract is in README.md."""

import random
import socket

import pytest
from kernel_timers import connecting, tcp_info
from timer_script import CONNECTED_200, play

from labctl.testing import WITHIN_S, Lab, Submission, expect_equal, machine_error


@pytest.mark.points(2)
def test_the_timeout_follows_the_round_trips(submission: Submission, rng: random.Random) -> None:
    """the timeout follows the round trip time, and how much that varies"""
    hint = (
        "the first sample R: SRTT = R, RTTVAR = R/2; then RTTVAR first, from the old SRTT; keep SRTT in "
        "eighths and RTTVAR in quarters of a millisecond"
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 100   -> -
        ack 1         -> srtt=100 rttvar=37 rto=250 timer=-
        send          -> srtt=100 rttvar=37 rto=250 timer=450
        advance 140   -> -
        ack 2         -> srtt=105 rttvar=38 rto=258 timer=-
        send          -> srtt=105 rttvar=38 rto=258 timer=598
        advance 20    -> -
        ack 3         -> srtt=94 rttvar=50 rto=294 timer=-
        """,
        hint,
    )
    script, now_ms = [], 100
    script.append(CONNECTED_200)
    srtt8, rttvar4 = 800, 200
    for number in range(1, 40):
        rtt_ms = rng.randrange(50, 180)
        rto = min(max((srtt8 >> 3) + max(1, rttvar4), 200), 120_000)
        before = f"srtt={srtt8 >> 3} rttvar={rttvar4 >> 2} rto={rto}"
        script.append(f"send -> {before} timer={now_ms + rto}")
        rtt_ms = min(rtt_ms, rto - 1)
        script.append(f"advance {rtt_ms} -> -")
        now_ms += rtt_ms
        error = rtt_ms - (srtt8 >> 3)
        rttvar4 += abs(error) - (rttvar4 >> 2)
        srtt8 += error
        rto = min(max((srtt8 >> 3) + max(1, rttvar4), 200), 120_000)
        after = f"srtt={srtt8 >> 3} rttvar={rttvar4 >> 2} rto={rto}"
        script.append(f"ack {number} -> {after} timer=-")
    play(submission, "\n".join(script), hint)


@pytest.mark.needs("test_the_timeout_follows_the_round_trips")
@pytest.mark.points(1)
def test_the_timeout_has_bounds(submission: Submission) -> None:
    """the timeout is not less than the least, and not more than two minutes"""
    play(
        submission,
        """
        connect       -> srtt=- rttvar=- rto=1000 timer=1000
        advance 10    -> -
        ack 0         -> srtt=10 rttvar=5 rto=1000 timer=-
        send          -> srtt=10 rttvar=5 rto=1000 timer=1010
        advance 900   -> -
        ack 1         -> srtt=121 rttvar=226 rto=1026 timer=-
        """,
        "RFC 6298: rounded up to one second; the bound is for the timeout as a whole",
        least_ms=1000,
    )
    play(
        submission,
        """
        connect       -> srtt=- rttvar=- rto=1000 timer=1000
        advance 0     -> -
        ack 0         -> srtt=0 rttvar=0 rto=5 timer=-
        """,
        "the second part is at least a tick of the clock, 1 ms, and the whole at least MIN_MS",
        least_ms=5,
    )
    play(
        submission,
        """
        connect       -> srtt=- rttvar=- rto=1000 timer=1000
        advance 999   -> -
        ack 0         -> srtt=999 rttvar=499 rto=120000 timer=-
        """,
        "at most 120000 ms, whatever the least is",
        least_ms=500_000,
    )


@pytest.mark.needs("test_the_timeout_follows_the_round_trips")
@pytest.mark.points(1)
def test_one_timer_for_all_segments(submission: Submission) -> None:
    """one timer runs for the oldest segment: ACKs restart it, and the last stops it"""
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 60    -> -
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 40    -> -
        ack 1         -> srtt=100 rttvar=37 rto=250 timer=450
        ack 1         -> srtt=100 rttvar=37 rto=250 timer=450
        advance 10    -> -
        ack 1         -> srtt=100 rttvar=37 rto=250 timer=450
        advance 50    -> -
        ack 3         -> srtt=100 rttvar=28 rto=213 timer=-
        advance 9999  -> -
        ack 4         -> error: EINVAL
        """,
        "RFC 6298, section 5: sending starts the timer only if it does not run; an ACK of something "
        "new starts it anew, and stops it if nothing is left; an old ACK does nothing",
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 40    -> -
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 60    -> -
        ack 2         -> srtt=95 rttvar=47 rto=285 timer=-
        """,
        "`ack 2` is a sample of segment 2: when was that one sent?",
    )


@pytest.mark.needs("test_one_timer_for_all_segments")
@pytest.mark.points(2)
def test_it_backs_off_and_gives_up(submission: Submission) -> None:
    """each timeout sends the oldest segment again and waits twice as long; in the end it gives up"""
    hint = "one segment again, the oldest; the timeout doubles, up to two minutes"
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 299   -> -
        advance 1     -> retransmit:1@400
        state         -> srtt=100 rttvar=50 rto=600 timer=1000
        advance 2000  -> retransmit:1@1000 retransmit:1@2200
        state         -> srtt=100 rttvar=50 rto=2400 timer=4600
        """,
        hint,
    )
    # 200 ms, and then doubled: 924.6 s, as Documentation/networking/ip-sysctl.rst has it.
    times, now_ms, rto_ms = [], 10, 200
    for _ in range(16):
        now_ms += rto_ms
        times.append(now_ms)
        rto_ms = min(2 * rto_ms, 120_000)
    again = " ".join(f"retransmit:1@{at}" for at in times[:-1])
    play(
        submission,
        f"""
        connect          -> srtt=- rttvar=- rto=1000 timer=1000
        advance 10       -> -
        ack 0            -> srtt=10 rttvar=5 rto=200 timer=-
        keepalive        -> probe at 7200010
        send             -> srtt=10 rttvar=5 rto=200 timer=210
        send             -> srtt=10 rttvar=5 rto=200 timer=210
        advance 924500   -> {again}
        receive          -> delayed until {times[-1] + 100}
        advance 99       -> -
        advance 1        -> ETIMEDOUT@{times[-1]}
        advance 99999999 -> -
        ack 1            -> srtt=10 rttvar=5 rto=120000 timer=-
        """,
        "after 15 retransmissions the next timeout ends the connection, and all timers",
    )


@pytest.mark.needs("test_it_backs_off_and_gives_up")
@pytest.mark.points(1)
def test_what_was_sent_twice_is_no_sample(submission: Submission) -> None:
    """an ACK of what was sent twice is no sample (Karn), and the timeout stays backed off"""
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 300   -> retransmit:1@400
        advance 50    -> -
        ack 2         -> srtt=100 rttvar=50 rto=600 timer=-
        send          -> srtt=100 rttvar=50 rto=600 timer=1050
        advance 100   -> -
        ack 3         -> srtt=100 rttvar=37 rto=250 timer=-
        send          -> srtt=100 rttvar=37 rto=250 timer=800
        send          -> srtt=100 rttvar=37 rto=250 timer=800
        advance 300   -> retransmit:4@800
        ack 4         -> srtt=100 rttvar=37 rto=500 timer=1350
        advance 500   -> retransmit:5@1350
        ack 5         -> srtt=100 rttvar=37 rto=1000 timer=-
        """,
        "is the ACK for the first copy or for the second? Nobody knows, so take no time from it; the "
        "timeout is computed again with the next good sample",
    )
    times = [10 + 200 * (2**n - 1) for n in range(1, 11)]
    more = [times[-1] + 120_000 * n for n in range(1, 11)]
    play(
        submission,
        f"""
        connect          -> srtt=- rttvar=- rto=1000 timer=1000
        advance 10       -> -
        ack 0            -> srtt=10 rttvar=5 rto=200 timer=-
        send             -> srtt=10 rttvar=5 rto=200 timer=210
        advance {times[-1] - 10} -> {" ".join(f"retransmit:1@{at}" for at in times)}
        ack 1            -> srtt=10 rttvar=5 rto=120000 timer=-
        send             -> srtt=10 rttvar=5 rto=120000 timer={more[0]}
        advance 1200000  -> {" ".join(f"retransmit:2@{at}" for at in more)}
        """,
        "an ACK of something new says that the other end is there: count the 15 anew",
    )


@pytest.mark.needs("test_the_timeout_follows_the_round_trips")
@pytest.mark.points(1)
def test_acks_wait_a_little(submission: Submission) -> None:
    """an ACK waits for up to 200 ms, and no longer than for a second segment"""
    play(
        submission,
        f"""
        {CONNECTED_200}
        receive       -> delayed until 300
        advance 199   -> -
        advance 1     -> ack@300
        advance 1000  -> -
        receive       -> delayed until 1500
        advance 100   -> -
        receive       -> ack
        advance 1000  -> -
        receive       -> delayed until 2600
        send          -> srtt=100 rttvar=50 rto=300 timer=2700
        ack 1         -> srtt=87 rttvar=62 rto=337 timer=-
        advance 1000  -> -
        receive       -> delayed until 3600
        """,
        "RFC 9293, 3.8.6.3: less than half a second, and an ACK for every second segment; a segment of "
        "our own takes the ACK along",
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        send          -> srtt=100 rttvar=50 rto=300 timer=400
        advance 250   -> -
        receive       -> delayed until 550
        advance 250   -> retransmit:1@400
        receive       -> delayed until 800
        """,
        "a segment that is sent again takes the ACK along as well",
    )


@pytest.mark.needs("test_the_timeout_follows_the_round_trips")
@pytest.mark.points(1)
def test_what_makes_no_sense_is_refused(submission: Submission) -> None:
    """what makes no sense is refused, and changes nothing"""
    play(
        submission,
        """
        send          -> error: EINVAL
        ack 0         -> error: EINVAL
        connect       -> srtt=- rttvar=- rto=1000 timer=1000
        connect       -> error: EINVAL
        advance -1    -> error: EINVAL
        ack x         -> error: EINVAL
        nonsense      -> error: EINVAL
        advance 100   -> -
        ack 1         -> error: EINVAL
        ack 0         -> srtt=100 rttvar=50 rto=1000 timer=-
        """,
        "answer `error: EINVAL`, and read on; MIN_MS is 1000 if it is not said",
        least_ms=None,
    )


@pytest.mark.needs("test_the_timeout_follows_the_round_trips")
@pytest.mark.points(1)
def test_silence_is_probed(submission: Submission) -> None:
    """silence is probed after two hours, then every 75 s, nine times; TIME-WAIT lasts four minutes"""
    first = 100 + 7_200_000
    probes = " ".join(f"probe@{first + 75_000 * n}" for n in range(9))
    play(
        submission,
        f"""
        {CONNECTED_200}
        keepalive        -> probe at {first}
        advance 7200000  -> probe@{first}
        advance 10       -> -
        ack 0            -> srtt=100 rttvar=50 rto=300 timer=-
        advance 7199999  -> -
        advance 1        -> probe@{first + 7_200_010}
        receive          -> delayed until {first + 7_200_210}
        advance 200      -> ack@{first + 7_200_210}
        """,
        "anything that is heard, also an old ACK, starts the two hours anew",
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        keepalive        -> probe at {first}
        advance 7800000  -> {probes}
        advance 74999    -> -
        advance 1        -> ETIMEDOUT@{first + 675_000}
        advance 99999999 -> -
        """,
        "nine probes, 75 s apart, and 75 s after the last one it is over",
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        keepalive        -> probe at {first}
        advance 1000     -> -
        send             -> srtt=100 rttvar=50 rto=300 timer=1400
        keepalive        -> probe at -
        ack 1            -> srtt=87 rttvar=62 rto=337 timer=-
        advance 7199999  -> -
        timewait         -> closed at {7_201_099 + 240_000}
        advance 239999   -> -
        advance 1        -> closed@{7_201_099 + 240_000}
        advance 99999999 -> -
        """,
        "while something is on its way there is the retransmission timer instead; in TIME-WAIT "
        "nothing runs but 2MSL",
    )
    play(
        submission,
        f"""
        {CONNECTED_200}
        keepalive        -> probe at {first}
        advance 7199900  -> -
        send             -> srtt=100 rttvar=50 rto=300 timer={first + 200}
        advance 500      -> retransmit:1@{first + 200}
        receive          -> delayed until {first + 600}
        timewait         -> closed at {first + 400 + 240_000}
        advance 99999999 -> closed@{first + 400 + 240_000}
        """,
        "a segment on its way stops the probes; TIME-WAIT stops all that runs",
    )


@pytest.mark.needs("test_what_was_sent_twice_is_no_sample", "test_silence_is_probed")
@pytest.mark.points(1)
def test_the_kernel_waits_as_long(lab: Lab, submission: Submission) -> None:
    """the kernel waits as long: for a SYN, after a lost SYN, for a silent end"""
    client = lab["client"]
    client.set("net.ipv4.tcp_timestamps", "0")  # with them, the ACK would say which copy it is for
    client.set("net.ipv4.tcp_syn_linear_timeouts", "0")
    listener = lab["server"].listen(8080)
    syn = "tcp[tcpflags] & tcp-syn != 0 and tcp dst port"
    lose_the_first = {"drop": {"match": f"{syn} 8080", "packets": [1]}}
    lose_all = {"drop": {"match": f"{syn} 8081"}}
    with lab.faults({"client->server": [lose_the_first, lose_all]}):
        sock = connecting(lab, 8080)
        # Asked of one that is never answered: the other may have gone on by now.
        info = tcp_info(connecting(lab, 8081))
        at_first = info.rto_ms >> info.backoff
        listener.accept(within_s=4 * WITHIN_S)
        after = tcp_info(sock).rto_ms
    idle_s, interval_s, probes = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    if len(lab.packets(f"{syn} 8080", sent_by="client")) != 2:
        raise machine_error("the kernel did not send exactly two SYNs", where="check")
    dead_ms = at_first + 1000 * (idle_s + interval_s * probes)
    play(
        submission,
        f"""
        connect                        -> srtt=- rttvar=- rto={at_first} timer={at_first}
        advance {at_first}             -> retransmit:0@{at_first}
        ack 0                          -> srtt=- rttvar=- rto={after} timer=-
        keepalive                      -> probe at {at_first + 1000 * idle_s}
        advance {1000 * idle_s - 1}    -> -
        send                           -> srtt=- rttvar=- rto={after} timer={at_first + 1000 * idle_s - 1 + after}
        """,
        "RFC 6298, 5.7: if the SYN was lost, the timeout is 3 s when data begins; ask your kernel with "
        "getsockopt(TCP_INFO), tcpi_rto",
    )
    program = submission.start("client", "tcp_timers", ready=False)
    for command in ("connect", f"advance {at_first}", "ack 0", "keepalive"):
        program.ask(command)
    said = program.ask(f"advance {dead_ms}").split()
    expect_equal(said[-1:], [f"ETIMEDOUT@{dead_ms}"], "the end of a silent connection", "as above")
    expect_equal(len(said) - 1, probes, "probes before that", "TCP_KEEPCNT")
