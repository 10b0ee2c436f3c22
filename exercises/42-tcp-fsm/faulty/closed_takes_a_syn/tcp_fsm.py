#!/usr/bin/env python3
"""Take one end of a TCP connection through its states, by hand.

usage: tcp_fsm [ISS]

Reads one event a line, a call of the user or a segment that arrives, and answers each with one
line: the state, and what is sent. ISS is the first sequence number (1000).

    connect                             SYN-SENT > SYN seq=1000
    < SYN,ACK seq=7000 ack=1001         ESTABLISHED > ACK seq=1001 ack=7001

What it shows: RFC 9293, section 3.10, without windows and without timers of its own. The state
decides what an event means, and the numbers decide whether a segment is meant for us at all.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

MODULUS = 1 << 32  # sequence numbers begin again at 0 after 4294967295
WINDOW = 65535

SYNCHRONIZED = (
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)
WITH_A_USER = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT")
"""Here the user has not been told yet that all is over, so a reset is an error to him."""


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


class Segment(NamedTuple):
    """A segment, as far as the states are concerned."""

    flags: frozenset[str]
    seq: int
    ack: int = 0
    length: int = 0

    @property
    def numbers(self) -> int:
        """Return how many sequence numbers it takes: SYN and FIN take one each, as a byte does."""
        return self.length + ("SYN" in self.flags) + ("FIN" in self.flags)

    def __str__(self) -> str:
        flags = ",".join(name for name in ("SYN", "FIN", "RST", "ACK") if name in self.flags)
        ack = f" ack={self.ack}" if "ACK" in self.flags else ""
        return f"{flags} seq={self.seq}{ack}" + (f" len={self.length}" if self.length else "")


def distance(start: int, end: int) -> int:
    """Return how far ``end`` is ahead of ``start``; negative if it is behind.

    Numbers go round in a circle, so "less than" means: less than half the circle behind.
    """
    ahead = (end - start) % MODULUS
    return ahead if ahead < MODULUS // 2 else ahead - MODULUS


class Connection:
    """One end of a connection. The names of the variables are those of the RFC."""

    def __init__(self, iss: int) -> None:
        self.iss = iss
        self.state = "CLOSED"
        self.is_passive = False
        self.snd_una = self.snd_nxt = iss
        self.rcv_nxt = 0
        self.answer: list[str] = []

    def event(self, line: str) -> str:
        """Carry out one event; return the line that answers it. Raises ``ValueError``."""
        self.answer = []
        match line.split():
            case ["<", *words]:
                self.arrives(parse_segment(words))
            case ["send", count] if count.isdecimal():
                self.send_data(int(count))
            case ["listen" | "connect" | "close" | "abort" | "2msl" as call]:
                {
                    "listen": self.listen,
                    "connect": self.connect,
                    "close": self.close,
                    "abort": self.abort,
                    "2msl": self.two_msl_are_over,
                }[call]()
            case _:
                raise ValueError(line)
        return " ".join([self.state, *self.answer])

    # What an event may do.

    def go(self, state: str) -> None:
        self.state = state
        if state == "TIME-WAIT":
            self.start_2msl()

    def start_2msl(self) -> None:
        self.answer.append("@2MSL")

    def tell(self, error: str) -> None:
        self.answer.append(f"! {error}")

    def send(self, *flags: str, length: int = 0) -> None:
        """Send a segment with the next sequence number."""
        segment = Segment(frozenset(flags), self.snd_nxt, self.rcv_nxt, length)
        self.answer.append(f"> {segment}")
        self.snd_nxt = (self.snd_nxt + segment.numbers) % MODULUS

    def refuse(self, segment: Segment) -> None:
        """Answer RST, with the numbers that make the other end believe it."""
        if "RST" in segment.flags:
            return  # two ends that answer RST with RST would never stop
        if "ACK" in segment.flags:
            self.answer.append(f"> {Segment(frozenset({'RST'}), segment.ack)}")
        else:
            ack = (segment.seq + segment.numbers) % MODULUS
            self.answer.append(f"> {Segment(frozenset({'RST', 'ACK'}), 0, ack)}")

    # What the user asks for.

    def listen(self) -> None:
        if self.state != "CLOSED":
            return self.tell("EINVAL")
        self.is_passive = True
        return self.go("LISTEN")

    def connect(self) -> None:
        if self.state != "CLOSED":
            return self.tell("EINVAL")
        self.is_passive = False
        self.snd_una = self.snd_nxt = self.iss
        self.go("SYN-SENT")
        return self.send("SYN")

    def send_data(self, count: int) -> None:
        if self.state not in ("ESTABLISHED", "CLOSE-WAIT"):
            return self.tell("EINVAL")
        return self.send("ACK", length=count)

    def close(self) -> None:
        match self.state:
            case "LISTEN" | "SYN-SENT":
                self.go("CLOSED")
            case "SYN-RECEIVED" | "ESTABLISHED":
                self.go("FIN-WAIT-1")
                self.send("FIN", "ACK")
            case "CLOSE-WAIT":
                self.go("LAST-ACK")
                self.send("FIN", "ACK")
            case _:
                self.tell("EINVAL")

    def abort(self) -> None:
        if self.state == "CLOSED":
            return self.tell("EINVAL")
        # In the other states the peer knows that we are done, or does not know us at all.
        if self.state in ("SYN-RECEIVED", *WITH_A_USER):
            self.answer.append(f"> {Segment(frozenset({'RST'}), self.snd_nxt)}")
        return self.go("CLOSED")

    def two_msl_are_over(self) -> None:
        if self.state != "TIME-WAIT":
            return self.tell("EINVAL")
        return self.go("CLOSED")

    # What arrives.

    def arrives(self, segment: Segment) -> None:
        match self.state:
            case "CLOSED" if "SYN" not in segment.flags:
                self.refuse(segment)
            case "CLOSED" | "LISTEN":
                self.arrives_in_listen(segment)
            case "SYN-SENT":
                self.arrives_in_syn_sent(segment)
            case _:
                self.arrives_in_a_connection(segment)

    def arrives_in_listen(self, segment: Segment) -> None:
        if "RST" in segment.flags:
            return
        if "ACK" in segment.flags:
            self.refuse(segment)  # nothing was sent that could be acknowledged
        elif "SYN" in segment.flags:
            self.snd_una = self.snd_nxt = self.iss
            self.rcv_nxt = (segment.seq + 1) % MODULUS
            self.go("SYN-RECEIVED")
            self.send("SYN", "ACK")

    def arrives_in_syn_sent(self, segment: Segment) -> None:
        acknowledges = "ACK" in segment.flags and segment.ack == self.snd_nxt
        if "ACK" in segment.flags and not acknowledges:
            self.refuse(segment)  # it is of an earlier connection: that end must forget it
        elif "RST" in segment.flags:
            # Only who has seen our SYN knows its number; without it anybody could refuse for him.
            if acknowledges:
                self.go("CLOSED")
                self.tell("ECONNREFUSED")
        elif "SYN" in segment.flags:
            self.rcv_nxt = (segment.seq + 1) % MODULUS
            if acknowledges:
                self.snd_una = segment.ack
                self.go("ESTABLISHED")
                self.send("ACK")
            else:
                # Both have called connect(). Our SYN goes out again, now with an ACK of theirs.
                self.snd_nxt = self.iss
                self.go("SYN-RECEIVED")
                self.send("SYN", "ACK")

    def arrives_in_a_connection(self, segment: Segment) -> None:
        """Go through the steps of section 3.10.7.4, in their order."""
        ahead = distance(self.rcv_nxt, segment.seq)
        is_their_syn_again = "SYN" in segment.flags and ahead == -1
        if (
            self.state == "SYN-RECEIVED"
            and is_their_syn_again
            and "ACK" in segment.flags
            and segment.ack == self.snd_nxt
        ):
            # Both called connect(), and this is the other's SYN once more, with its ACK of ours.
            self.snd_una = segment.ack
            return self.go("ESTABLISHED")
        # First: is the number one that we wait for?
        if not 0 <= ahead < WINDOW:
            if "RST" not in segment.flags:
                self.send("ACK")
                # An old FIN means that our last ACK was lost: the other end starts anew to wait.
                if self.state == "TIME-WAIT" and "FIN" in segment.flags:
                    self.start_2msl()
            return None
        # Second and fourth: RST and SYN. If the other end means it, it will answer our ACK with
        # an RST that has the right number (RFC 5961).
        if "RST" in segment.flags:
            return self.is_reset() if ahead == 0 else self.send("ACK")
        if "SYN" in segment.flags:
            return self.send("ACK")
        # Fifth: the ACK. It counts also where something before the segment is missing.
        if "ACK" not in segment.flags or not self.takes_ack(segment) or self.state == "CLOSED":
            return None
        # Seventh and eighth: data, and FIN, in their order and not before. One ACK for both.
        if ahead > 0:
            return self.send("ACK") if segment.numbers else None
        if self.state in ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2") and segment.length:
            self.rcv_nxt = (self.rcv_nxt + segment.length) % MODULUS
            if "FIN" not in segment.flags:
                self.send("ACK")
        if "FIN" in segment.flags:
            self.takes_fin()
        return None

    def is_reset(self) -> None:
        if self.state == "SYN-RECEIVED":
            if self.is_passive:
                return self.go("LISTEN")  # the user called listen(), and never heard of this one
            self.go("CLOSED")
            return self.tell("ECONNREFUSED")
        had_a_user = self.state in WITH_A_USER
        self.go("CLOSED")
        return self.tell("ECONNRESET") if had_a_user else None

    def takes_ack(self, segment: Segment) -> bool:
        """Take note of what is acknowledged; return whether to go on with the segment."""
        not_sent_yet = distance(self.snd_nxt, segment.ack) > 0
        is_new = distance(self.snd_una, segment.ack) > 0 and not not_sent_yet
        if self.state == "SYN-RECEIVED":
            if not is_new:
                self.refuse(segment)
                return False
            self.go("ESTABLISHED")
        if not_sent_yet:
            self.send("ACK")
            return False
        if is_new:
            self.snd_una = segment.ack
        # In the states below a FIN was sent, and it took the last number.
        if self.snd_una == self.snd_nxt:
            match self.state:
                case "FIN-WAIT-1":
                    self.go("FIN-WAIT-2")
                case "CLOSING":
                    self.go("TIME-WAIT")
                case "LAST-ACK":
                    self.go("CLOSED")
        return True

    def takes_fin(self) -> None:
        after = {
            "ESTABLISHED": "CLOSE-WAIT",
            "FIN-WAIT-1": "CLOSING",
            "FIN-WAIT-2": "TIME-WAIT",
        }.get(self.state)
        if after is None:
            return  # the other end has sent its FIN already; there cannot be a second
        self.rcv_nxt = (self.rcv_nxt + 1) % MODULUS
        self.send("ACK")
        self.go(after)


def parse_segment(words: list[str]) -> Segment:
    """Read ``SYN,ACK seq=7000 ack=1001 len=5``. Raises ``ValueError``."""
    flags, *fields = words
    numbers = {"seq": 0, "ack": 0, "len": 0}
    for field in fields:
        name, _, number = field.partition("=")
        if name not in numbers:
            raise ValueError(field)
        numbers[name] = int(number)
    return Segment(frozenset(flags.split(",")), numbers["seq"], numbers["ack"], numbers["len"])


def main(arguments: list[str]) -> None:
    if len(arguments) > 1 or not all(text.isdecimal() for text in arguments):
        print("usage: tcp_fsm [ISS]", file=sys.stderr)
        sys.exit(2)
    connection = Connection(int(arguments[0]) % MODULUS if arguments else 1000)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    for line in sys.stdin:
        try:
            say(connection.event(line))
        except ValueError:
            say(f"error: no event: {line.strip()}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
