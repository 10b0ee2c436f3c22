"""The model as a link under test: a channel, and time that is made up."""

from collections.abc import Sequence

from labctl.topology.impairment_words import parse_impairment
from labctl.wire.channel import Channel
from tests.equivalence.exchange import Pace, Run
from tests.equivalence.frames import Arrival, number_of


class ModelLink:
    """Each ``renew`` goes on to another seed; the seeds of one run of the tests are those of any."""

    name = "model"

    def __init__(self) -> None:
        self._seed = 0
        self._channel = Channel(parse_impairment([]), 0)
        self._now_ns = 0

    def renew(self, words: str) -> None:
        """Begin with a new channel."""
        self._seed += 1
        self._channel = Channel(parse_impairment(words.split()), self._seed)

    def change(self, words: str) -> None:
        """Change the channel."""
        self._channel.replace(parse_impairment(words.split()))

    def carry(
        self, frames: Sequence[bytes], pace: Pace, *, awaited: int | None, control_ns: int
    ) -> Run:
        """Send frames at this pace, and wait for all."""
        channel = self._channel
        dropped = channel.lost + channel.overrun
        sent_ns: list[int] = []
        arrivals: list[Arrival] = []

        def receive(until_ns: int | None) -> None:
            while (at_ns := channel.next_arrival_ns()) is not None:
                if until_ns is not None and at_ns > until_ns:
                    return
                self._now_ns = max(self._now_ns, at_ns)
                for data in channel.receive(at_ns):
                    number = number_of(data)
                    # A damaged number is nobody's; the tests of damage go by the order.
                    was_sent_ns = sent_ns[number] if number < len(sent_ns) else at_ns
                    arrivals.append(Arrival(number, was_sent_ns, at_ns, data))

        begin_ns = self._now_ns
        for index, frame in enumerate(frames):
            now_ns = begin_ns + index // pace.at_once * pace.every_ns
            # As the emulator does, which takes in several at a time before it looks what is due.
            if index % pace.at_once == 0:
                receive(now_ns)
            sent_ns.append(now_ns)
            channel.send(frame, now_ns)
            self._now_ns = now_ns
        receive(None)
        return Run(sent_ns, arrivals, channel.lost + channel.overrun - dropped, 0)
