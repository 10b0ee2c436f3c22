"""Checks of daytime. The contract is in README.md."""

import calendar
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8013
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""

# ctime(3): the day of the month is padded with a blank.
TEXT = re.compile(rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \d{4}\r\n")

# A zone of the programs' own, which has no summer time: from the machine's table, which all
# languages read, or else as POSIX writes it.
ZONE = "Asia/Kolkata" if Path("/usr/share/zoneinfo/Asia/Kolkata").exists() else "IST-5:30"
EAST_OF_UTC_S = 5 * 3600 + 1800
FARTHEST_ZONE_S = 15 * 3600
IN_ITS_ZONE = ("env", f"TZ={ZONE}")

SUPERSERVER = Path(__file__).with_name("superserver.py").read_text()


def start(submission: Submission, *, ready: bool = True) -> Program:
    arguments = ("0.0.0.0", str(PORT))
    return submission.start(
        "server", "daytime_server", *arguments, ready=ready, through=IN_ITS_ZONE
    )


def start_under_inetd(submission: Submission) -> Program:
    through = (*IN_ITS_ZONE, "python3", "-c", SUPERSERVER, str(PORT))
    return submission.start("server", "daytime", through=through)


def expect_text(client: Tcp, hint: str) -> int:
    """Receive all up to FIN; return the time that it tells, as if it were UTC."""
    said = client.everything(hint=hint)
    expect(
        TEXT.fullmatch(said),
        expected=f"{there(time.time())!r} and CR LF, 26 bytes, then FIN",
        actual=f"{said!r}",
        hint="ctime(3) has the 24 characters, and LF behind them, which does not belong here",
    )
    return calendar.timegm(time.strptime(said.decode().strip(), "%a %b %d %H:%M:%S %Y"))


def expect_the_time(client: Tcp, since: float, hint: str) -> None:
    """Receive all up to FIN, and compare it with the check's own clock."""
    told = expect_text(client, hint)
    # Which zone it is has a check of its own; zones are multiples of a quarter. And time(2) has a
    # clock that may be a tick behind: up to a second, where one ends in between.
    seconds = range(int(since) - 1, int(time.time()) + 1)
    expect(
        any((told - s) % 900 == 0 and abs(told - s) <= FARTHEST_ZONE_S for s in seconds),
        expected=f"the local time, such as {there(time.time())}",
        actual=time.asctime(time.gmtime(told)),
        hint="ask for the time when accept() has returned: that of the start, or of the client "
        "before, is another one",
    )


def there(seconds: float) -> str:
    """Return what the program should tell."""
    return time.asctime(time.gmtime(seconds + EAST_OF_UTC_S))


def connections(lab: Lab, node: str) -> list[str]:
    """Return the states of the connections that a node's kernel knows."""
    return [s.state for s in lab[node].sockets("tcp", PORT) if s.state != "LISTEN"]


@pytest.mark.points(2)
def test_the_time_is_told(lab: Lab, submission: Submission) -> None:
    """who connects is told the time, in 26 bytes, and then FIN comes"""
    start(submission)
    started = int(time.time())
    for node in ("client1", "client2", "client1", "client2"):
        if node == "client2":
            # Another time than that of the start, or of the client before.
            until(lambda: time.time() >= started + 2, WITHIN_S)
        since = time.time()
        client = lab[node].connect(SERVERS[node])
        expect_the_time(
            client, since, "the client says nothing: send the text at once, and then close"
        )
        client.close()


@pytest.mark.needs("test_the_time_is_told")
@pytest.mark.points(0.5)
def test_it_is_the_time_of_its_zone(lab: Lab, submission: Submission) -> None:
    """the time is that of the server's zone"""
    start(submission)
    since = time.time()
    told = expect_text(lab["client1"].connect(SERVERS["client1"]), "")
    expect(
        int(since) - 1 <= told - EAST_OF_UTC_S <= time.time(),
        expected=f"with TZ={ZONE}: {there(since)}",
        actual=time.asctime(time.gmtime(told)),
        hint="ctime() and localtime() know the zone, gmtime() does not",
    )


@pytest.mark.needs("test_the_time_is_told")
@pytest.mark.points(1)
def test_a_client_that_stays_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that neither reads nor closes holds up nobody"""
    start(submission)
    since = time.time()
    staying = [lab["client1"].connect(SERVERS["client1"]) for _ in range(3)]
    other = lab["client2"].connect(SERVERS["client2"])
    hint = "nothing of the conversation needs the client: wait for nobody, not even for its FIN"
    expect_the_time(other, since, hint)
    for client in staying:
        expect_the_time(client, since, hint)


@pytest.mark.needs("test_a_client_that_stays_holds_up_nobody")
@pytest.mark.points(2)
def test_what_a_client_says_is_thrown_away(lab: Lab, submission: Submission) -> None:
    """what a client says is thrown away, and no RST comes for it"""
    program = start(submission)
    program.freeze()
    since = time.time()
    client = lab["client1"].connect(SERVERS["client1"])
    say_something(client)
    program.thaw()
    expect_the_time(client, since, UNREAD)

    def is_held() -> bool:
        return any(s.inode for s in lab["server"].sockets("tcp", PORT) if s.state != "LISTEN")

    expect(
        until(lambda: not is_held(), WITHIN_S),
        expected="the server closes the connection",
        actual="it keeps it open, though it has sent FIN",
        hint="close() as well as shutdown(), and without waiting for the client",
    )
    # The kernel forgets a connection before it sends RST; close() returns after that.
    expect_the_time(lab["client2"].connect(SERVERS["client2"]), since, UNREAD)
    resets = lab.packets("tcp[tcpflags] & tcp-rst != 0", sent_by="server")
    expect_equal(len(resets), 0, "segments with RST", UNREAD)


UNREAD = (
    "close() with bytes unread sends RST instead of FIN, and the client may lose the text: read what "
    "is there, without waiting for more, before you close"
)


def say_something(client: Tcp) -> None:
    client.send(b"what time is it?\r\n" * 100)
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        raise machine_error("what the client has sent is not acknowledged", where="check")


@pytest.mark.needs("test_the_time_is_told")
@pytest.mark.points(1)
def test_a_client_that_has_left_harms_nobody(lab: Lab, submission: Submission) -> None:
    """a client that has left before it was told harms nobody"""
    program = start(submission)
    since = time.time()
    first = lab["client1"].connect(SERVERS["client1"])
    expect_the_time(first, since, "")
    first.close()
    before = open_files(program)
    two_leave(lab, program)
    two_leave(lab, program)
    expect(
        # The connection of who came last may be open until somebody else comes.
        until(lambda: open_files(program) <= before + 1, WITHIN_S),
        expected=f"{before} open descriptors, as before 4 clients have left",
        actual=f"{open_files(program)}",
        hint="close() the connection also where send() has failed",
    )


def two_leave(lab: Lab, program: Program) -> None:
    """Have two clients connect and leave, and a third one be told the time."""
    program.freeze()
    since = time.time()
    for _ in range(2):
        lab["client1"].connect(SERVERS["client1"]).reset()
    until(lambda: set(connections(lab, "server")) <= {"TIME-WAIT"}, WITHIN_S)
    other = lab["client2"].connect(SERVERS["client2"])
    program.thaw()
    hint = (
        "the connection is accepted, and send() fails with ECONNRESET or EPIPE: close this one and "
        "take the next; in C, MSG_NOSIGNAL or no SIGPIPE; what fails with EINTR is called again"
    )
    try:
        expect_the_time(other, since, hint)
        other.close()
    finally:
        if not program.is_running():
            unmet(
                "the server goes on when a client has reset its connection",
                f"it {program.how_it_ended()}",
                hint,
            )


def open_files(program: Program) -> int:
    """Return how many descriptors the program has."""
    count = 0
    for pid in program.pids():
        with suppress(OSError):  # it has just ended
            count += len(os.listdir(f"/proc/{pid}/fd"))
    return count


@pytest.mark.needs("test_the_time_is_told")
@pytest.mark.points(1)
def test_it_is_started_again_at_once(lab: Lab, submission: Submission) -> None:
    """it closes first and has TIME-WAIT, and can be started again at once all the same"""
    program = start(submission)
    since = time.time()
    client = lab["client1"].connect(SERVERS["client1"])
    expect_the_time(client, since, "")
    client.close()
    hint = "who sends the first FIN has TIME-WAIT, and here the client has waited for it"
    expect(
        until(lambda: connections(lab, "server") == ["TIME-WAIT"], WITHIN_S),
        expected="the connection in TIME-WAIT at the server's side",
        actual=f"there {' '.join(connections(lab, 'server')) or 'it is gone'}",
        hint=hint,
    )
    expect(
        until(lambda: not connections(lab, "client1"), WITHIN_S),
        expected="nothing of the connection at the client's side",
        actual=f"there {' '.join(connections(lab, 'client1'))}",
        hint=hint,
    )
    program.kill()
    again = start(submission, ready=False)
    try:
        again.ready()
    except Unmet:
        if again.is_running():
            raise
        unmet(
            "the server can be started again at once",
            f"it {again.how_it_ended()}",
            "SO_REUSEADDR, before bind()",
        )
    expect_the_time(lab["client2"].connect(SERVERS["client2"]), since, "")


@pytest.mark.needs("test_the_time_is_told")
@pytest.mark.points(0.5)
def test_a_second_one_is_refused(lab: Lab, submission: Submission) -> None:
    """a second one beside it is refused with EADDRINUSE"""
    start(submission)
    second = start(submission, ready=False)
    hint = "SO_REUSEADDR is for what was left behind; SO_REUSEPORT would share the port with a live one"
    ended = second.expect_exit(1, hint=hint)
    said = ended.stderr.decode(errors="backslashreplace").strip().splitlines()
    expect(
        any(line.startswith(("error: bind: EADDRINUSE", "error: listen: EADDR")) for line in said),
        expected="a line `error: bind: EADDRINUSE (…)` on stderr",
        actual=f"the last line is: {said[-1]}" if said else "nothing on stderr",
        hint=hint,
    )


@pytest.mark.points(2)
@pytest.mark.parametrize("client_is", ["silent", "talking"])
def test_it_runs_under_inetd(lab: Lab, submission: Submission, client_is: str) -> None:
    """started by inetd it tells the time on descriptor 0, and nothing else"""
    program = start_under_inetd(submission)
    program.freeze()
    since = time.time()
    client = lab["client1"].connect(SERVERS["client1"])
    if client_is == "talking":
        say_something(client)
    program.thaw()
    hint = "descriptors 0, 1 and 2 are the connection: all that you print goes to the client"
    expect_the_time(client, since, UNREAD if client_is == "talking" else hint)
    client.close()
    program.expect_line("exit 0", hint="one client, and then the program ends with exit status 0")


@pytest.mark.points(1)
def test_by_hand_it_says_what_is_wrong(lab: Lab, submission: Submission) -> None:
    """started by hand it says that descriptor 0 is no socket"""
    ended = submission.run("server", "daytime")
    said = ended.stderr.decode(errors="backslashreplace").strip()
    hint = "getpeername() on descriptor 0 fails with ENOTSOCK; say so on stderr, and exit 1"
    expect(
        said.startswith("error: getpeername: ENOTSOCK") and "\n" not in said,
        expected="on stderr: error: getpeername: ENOTSOCK (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint=hint,
    )
    expect_equal(ended.exit_status, 1, "exit status", hint)
    expect_equal(ended.stdout, b"", "stdout", hint)
