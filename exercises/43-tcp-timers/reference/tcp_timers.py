#!/usr/bin/env python3
"""Run the timers of one TCP connection: how long to wait for an ACK, and what else to wait for.

usage: tcp_timers [MIN_MS]

Reads one command a line and answers each with one line. Time stands still but for `advance`.
MIN_MS is the least retransmission timeout (1000).

    connect               srtt=- rttvar=- rto=1000 timer=1000
    advance 100           -
    ack 0                 srtt=100 rttvar=50 rto=1000 timer=-

What it shows: RFC 6298. The timeout follows the round trip time and how much that varies, in whole
numbers; it doubles each time that it was too short; and an ACK of what was sent twice tells nothing
about time, since nobody knows which of the two it is for.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INITIAL_MS = 1000
AFTER_LOST_SYN_MS = 3000
LARGEST_MS = 120_000
GRANULARITY_MS = 1
MOST_RETRANSMISSIONS = 15  # net.ipv4.tcp_retries2

DELAYED_ACK_MS = 200
KEEPALIVE_IDLE_MS = 7_200_000
KEEPALIVE_INTERVAL_MS = 75_000
KEEPALIVE_PROBES = 9
TWO_MSL_MS = 240_000


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


class RefusedError(Exception):
    """The command cannot be carried out; the text is the name of the error."""


class Estimate:
    """The round trip time, smoothed, and its variation; both kept finer than they are shown.

    ``srtt8`` is in eighths and ``rttvar4`` in quarters of a millisecond. So 1/8 and 1/4 are taken
    by shifts, and what they cut off is not lost for good (V. Jacobson, 1988, appendix A).
    """

    def __init__(self) -> None:
        self.srtt8: int | None = None
        self.rttvar4 = 0

    def sample(self, rtt_ms: int) -> None:
        if self.srtt8 is None:
            self.srtt8 = 8 * rtt_ms
            self.rttvar4 = 2 * rtt_ms  # half of it, in quarters
            return
        # The variation first: it is measured from what was expected, not from what is now.
        difference = rtt_ms - (self.srtt8 >> 3)
        self.rttvar4 += abs(difference) - (self.rttvar4 >> 2)
        self.srtt8 += difference

    def timeout_ms(self, least_ms: int) -> int:
        assert self.srtt8 is not None
        rto = (self.srtt8 >> 3) + max(GRANULARITY_MS, self.rttvar4)
        return min(max(rto, least_ms), LARGEST_MS)


class Connection:
    """One end of a connection, as far as its timers are concerned."""

    def __init__(self, least_ms: int) -> None:
        self.least_ms = least_ms
        self.now_ms = 0
        self.estimate = Estimate()
        self.rto_ms = INITIAL_MS
        # Segments that were sent and not acknowledged: when, or None if more than once.
        self.unacknowledged: dict[int, int | None] = {}
        self.next_number = 0
        self.retransmissions = 0
        # When each timer expires; those that do not run are not in it.
        self.timers: dict[str, int] = {}
        self.has_keepalive = False
        self.probes = 0
        self.unacknowledged_received = 0

    def start(self, timer: str, after_ms: int) -> None:
        self.timers[timer] = self.now_ms + after_ms

    def stop(self, timer: str) -> None:
        self.timers.pop(timer, None)

    # What is sent, and what comes back.

    def send(self) -> int:
        number = self.next_number
        self.next_number += 1
        self.unacknowledged[number] = self.now_ms
        # It runs for the oldest segment. A newer one must not put it off.
        if "retransmit" not in self.timers:
            self.start("retransmit", self.rto_ms)
        self.stop("keepalive")
        self.take_ack_along()
        return number

    def take_ack_along(self) -> None:
        """The ACK that waits goes along with a segment that is sent."""
        self.stop("delayed-ack")
        self.unacknowledged_received = 0

    def acknowledged(self, number: int) -> None:
        """Take note of an ACK of all segments up to this one."""
        if number >= self.next_number:
            raise RefusedError("EINVAL")
        new = {n: sent for n, sent in self.unacknowledged.items() if n <= number}
        for each in new:
            del self.unacknowledged[each]
        self.is_heard()
        if not new:
            return
        self.retransmissions = 0
        if None not in new.values():
            sent_ms = new[number]
            assert sent_ms is not None
            self.estimate.sample(self.now_ms - sent_ms)
            self.rto_ms = self.estimate.timeout_ms(self.least_ms)
        elif 0 in new:
            self.rto_ms = AFTER_LOST_SYN_MS
        # Otherwise Karn: no sample, and the timeout stays as long as the losses have made it.
        self.stop("retransmit")
        if self.unacknowledged:
            self.start("retransmit", self.rto_ms)

    def received(self) -> str:
        """Take note of a segment with data."""
        self.is_heard()
        self.unacknowledged_received += 1
        if self.unacknowledged_received == 2:
            self.unacknowledged_received = 0
            self.stop("delayed-ack")
            return "ack"
        self.start("delayed-ack", DELAYED_ACK_MS)
        return f"delayed until {self.timers['delayed-ack']}"

    def keep_alive(self) -> None:
        self.has_keepalive = True
        self.is_heard()

    def is_heard(self) -> None:
        """The other end is alive: count the silence anew. What is on its way has its own timer."""
        self.probes = 0
        self.stop("keepalive")
        if self.has_keepalive and not self.unacknowledged:
            self.start("keepalive", KEEPALIVE_IDLE_MS)

    def finish(self) -> int:
        """Go to TIME-WAIT, where only one timer is left."""
        self.timers.clear()
        self.unacknowledged.clear()
        self.has_keepalive = False
        self.start("2msl", TWO_MSL_MS)
        return self.timers["2msl"]

    # What time brings.

    def advance(self, ms: int) -> Iterator[str]:
        end_ms = self.now_ms + ms
        while self.timers and min(self.timers.values()) <= end_ms:
            timer = min(self.timers, key=lambda name: (self.timers[name], name))
            self.now_ms = self.timers.pop(timer)
            yield f"{self.expired(timer)}@{self.now_ms}"
        self.now_ms = end_ms

    def expired(self, timer: str) -> str:
        match timer:
            case "retransmit":
                return self.retransmit()
            case "delayed-ack":
                self.unacknowledged_received = 0
                return "ack"
            case "keepalive":
                if self.probes == KEEPALIVE_PROBES:
                    return self.give_up()
                self.probes += 1
                self.start("keepalive", KEEPALIVE_INTERVAL_MS)
                return "probe"
            case _:
                return "closed"

    def retransmit(self) -> str:
        if self.retransmissions == MOST_RETRANSMISSIONS:
            return self.give_up()
        self.retransmissions += 1
        # The oldest only: the others may have arrived, behind the gap.
        oldest = min(self.unacknowledged)
        self.unacknowledged[oldest] = None
        self.take_ack_along()
        self.rto_ms = min(2 * self.rto_ms, LARGEST_MS)
        self.start("retransmit", self.rto_ms)
        return f"retransmit:{oldest}"

    def give_up(self) -> str:
        self.timers.clear()
        self.unacknowledged.clear()
        self.has_keepalive = False
        return "ETIMEDOUT"

    def state(self) -> str:
        srtt = rttvar = "-"
        if self.estimate.srtt8 is not None:
            srtt, rttvar = str(self.estimate.srtt8 >> 3), str(self.estimate.rttvar4 >> 2)
        timer = self.timers.get("retransmit", "-")
        return f"srtt={srtt} rttvar={rttvar} rto={self.rto_ms} timer={timer}"


def to_number(text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) >= least):
        raise RefusedError("EINVAL")
    return int(text)


def carry_out(connection: Connection, line: str) -> str:
    match line.split():
        case ["connect"] if connection.next_number == 0:
            connection.send()
        case ["send"] if connection.next_number > 0:
            connection.send()
        case ["ack", number]:
            connection.acknowledged(to_number(number))
        case ["state"]:
            pass
        case ["receive"]:
            return connection.received()
        case ["keepalive"]:
            connection.keep_alive()
            return f"probe at {connection.timers.get('keepalive', '-')}"
        case ["timewait"]:
            return f"closed at {connection.finish()}"
        case ["advance", ms]:
            return " ".join(connection.advance(to_number(ms))) or "-"
        case _:
            raise RefusedError("EINVAL")
    return connection.state()


def main(arguments: list[str]) -> None:
    try:
        [least_ms] = [to_number(text, least=1) for text in arguments or ["1000"]]
    except (RefusedError, ValueError):
        print("usage: tcp_timers [MIN_MS]", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    connection = Connection(least_ms)
    for line in sys.stdin:
        try:
            say(carry_out(connection, line))
        except RefusedError as error:
            say(f"error: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
