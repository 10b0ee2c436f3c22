"""One direction of one link in the emulator: frames in, its rules, its channel, frames out."""

import os
import socket
import time

from labctl.kernel.packet_socket import (
    PLAIN_HEADER,
    VNET_HEADER_BYTES,
    completed,
    open_reader,
    open_writer,
    overruns,
)
from labctl.topology.impairment import PERFECT, Impairment
from labctl.topology.impairment_words import impairment_words
from labctl.wire.channel import Channel
from labctl.wire.rules import RuleSet

_FRAMES_AT_ONCE = 64
"""Of one direction, before another has its turn."""

_LINGER_NS = 1_000_000_000
"""How long a direction that was cleared is still listened to: a frame that the kernel was passing
on at that moment waits in a queue of the processor's, out of sight."""

_LARGEST_FRAME = 65536 + 64 + VNET_HEADER_BYTES

_COUNTERS = (
    "seen",
    "seen_bytes",
    "lost",
    "marked",
    "delayed",
    "duplicated",
    "corrupted",
    "reordered",
    "overrun",
)


class Flow:
    """A direction between two hidden interfaces."""

    def __init__(self, name: str, reader: str, writer: str) -> None:
        self.name = name
        self.reader = open_reader(reader)
        try:
            self._writer = open_writer(writer)
        except BaseException:
            self.reader.close()
            raise
        self._impairment = PERFECT
        self._channel = _new_channel()
        self._old_channels: list[Channel] = []
        """With frames of before the direction was cleared and made bad again."""
        self._rules: RuleSet | None = None
        self._leaves_ns: int | None = None
        self._has_more = False
        """Whether the last ``pump`` left frames unread."""
        self.overruns = 0
        """Frames that the kernel dropped because they came faster than they were read."""
        self.undelivered = 0
        """Frames whose link was down when they were due."""

    @property
    def is_leaving(self) -> bool:
        """Whether it only delivers what is under way, and is no link's any more."""
        return self._leaves_ns is not None

    def impair(self, impairment: Impairment) -> None:
        """Change what the channel does; frames under way stay under way."""
        self._come_back()
        self._impairment = impairment
        self._channel.replace(impairment)

    def arm(self, rules: RuleSet | None) -> None:
        """Change the rules; what the old ones kept goes on."""
        self._come_back()
        self._change_rules(rules)

    def _change_rules(self, rules: RuleSet | None) -> None:
        now_ns = time.monotonic_ns()
        if self._rules is not None:
            for frame in self._rules.flush(now_ns):
                self._channel.send(frame, now_ns)
        self._rules = rules
        self.release(now_ns)

    def leave(self) -> None:
        """Deliver what is under way, and take in nothing after that.

        The kernel passes the link's frames by already. What it gave before was sent on a bad link,
        and is treated like that, but what rules kept goes on.
        """
        while self.pump():
            pass
        self._change_rules(None)
        self._impairment = PERFECT
        self._leaves_ns = time.monotonic_ns() + _LINGER_NS

    def _come_back(self) -> None:
        """Begin anew if it was leaving; what is under way still arrives at its time."""
        if self.is_leaving:
            self._leaves_ns = None
            self._old_channels.append(self._channel)
            self._channel = _new_channel()
            self.count_overruns()
            self.overruns = self.undelivered = 0

    def has_left(self, now_ns: int) -> bool:
        """Whether nothing of it is under way any more."""
        return (
            self._leaves_ns is not None
            and self._leaves_ns <= now_ns
            and not self._has_more
            and not self._old_channels
            and self._channel.next_arrival_ns() is None
        )

    def pump(self) -> bool:
        """Take in what has arrived, and send on what is due; return whether more has arrived."""
        receive, send, rules = self.reader.recv, self._channel.send, self._rules
        now_ns = time.monotonic_ns()
        self._has_more = False
        for _ in range(_FRAMES_AT_ONCE):
            try:
                data = receive(_LARGEST_FRAME)
            except OSError:
                break  # no more; or the interface went down, and the next frame tells it is back
            # Of each frame on its own: with a time from before it came, it would leave too early.
            now_ns = time.monotonic_ns()
            if data.startswith(PLAIN_HEADER):
                frame = data[VNET_HEADER_BYTES:]
            else:
                whole = completed(data)
                if whole is None:
                    self._deliver(data)
                    continue
                frame = whole
            if rules is None:
                send(frame, now_ns)
            else:
                for passed in rules.offer(frame, now_ns):
                    send(passed, now_ns)
        else:
            self._has_more = self._is_behind()
        self.release(now_ns)
        return self._has_more

    def _is_behind(self) -> bool:
        try:
            self.reader.recv(VNET_HEADER_BYTES, socket.MSG_PEEK)
        except OSError:
            return False
        return True

    def release(self, now_ns: int) -> None:
        """Send on what has waited long enough."""
        if self._rules is not None:
            for frame in self._rules.due(now_ns):
                self._channel.send(frame, now_ns)
        if self._old_channels:
            self._release_old(now_ns)
        for frame in self._channel.receive(now_ns):
            self._deliver(PLAIN_HEADER + frame)

    def _release_old(self, now_ns: int) -> None:
        for channel in self._old_channels:
            for frame in channel.receive(now_ns):
                self._deliver(PLAIN_HEADER + frame)
        self._old_channels = [
            channel for channel in self._old_channels if channel.next_arrival_ns() is not None
        ]

    def _deliver(self, data: bytes) -> None:
        try:
            self._writer.send(data)
            return
        except OSError:
            pass  # the other end is down, or was so since the last frame, which is told once
        try:
            self._writer.send(data)
        except OSError:
            self.undelivered += 1

    def next_ns(self) -> int | None:
        """Return when there is something to do even if no frame comes."""
        moment = self._channel.next_arrival_ns()
        if self._rules is not None:
            moment = _earlier(moment, self._rules.next_ns())
        for channel in self._old_channels:
            moment = _earlier(moment, channel.next_arrival_ns())
        # Nothing is to be done when the time to leave has come, as long as something is under way.
        return self._leaves_ns if moment is None else moment

    def count_overruns(self) -> int:
        """Return how many frames were lost to overruns since the last call."""
        lost = overruns(self.reader)
        self.overruns += lost
        return lost

    def close(self) -> None:
        """Let go of the interfaces."""
        self.reader.close()
        self._writer.close()

    def as_json(self) -> dict[str, object]:
        """Return what is asked of this direction, and what became of its frames."""
        self.count_overruns()
        counters = {name: getattr(self._channel, name) for name in _COUNTERS}
        counters.update(socket_overruns=self.overruns, undelivered=self.undelivered)
        rules = [] if self._rules is None else [count._asdict() for count in self._rules.counts]
        return {
            "direction": self.name,
            "words": impairment_words(self._impairment),
            "counters": counters,
            "rules": rules,
        }


def _new_channel() -> Channel:
    return Channel(PERFECT, int.from_bytes(os.urandom(8), "big"))


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
