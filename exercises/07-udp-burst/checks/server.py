"""The server that the checks play: it answers what it wants, in the order that it wants."""

import random
from collections.abc import Sequence

import time1

from labctl.testing import WITHIN_S, Lab, Program, unmet, until


class Server:
    """A UDP socket at port 8080 of the node `server`."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self.udp = lab["server"].udp(bind=("0.0.0.0", 8080))
        self._t_server = rng.randrange(10**18, 2 * 10**18)

    def collect(self, client: Program, count: int, what: str, hint: str) -> list[time1.Asked]:
        """Return so many requests, none of them answered yet."""
        asked: list[time1.Asked] = []

        def came_or_ended() -> bool:
            # In this order: what a client has sent is here before its end is known.
            has_ended = not client.is_running()
            asked.extend(self._arrived(count - len(asked)))
            return len(asked) == count or has_ended

        until(came_or_ended, WITHIN_S)
        if len(asked) < count:
            ended = "" if client.is_running() else f", and the program {client.how_it_ended()}"
            unmet(f"{what} within {WITHIN_S:g} s", f"{len(asked)} came{ended}", hint)
        return asked

    def answer(self, asked: Sequence[time1.Asked]) -> None:
        """Answer these requests in this order, each answer with a time of its own."""
        for each in asked:
            self._t_server += 1
            self.udp.send(time1.answer_to(each, self._t_server), to=each.sender)

    def _arrived(self, most: int) -> list[time1.Asked]:
        self.udp.socket.setblocking(False)
        asked: list[time1.Asked] = []
        try:
            while len(asked) < most:
                asked.append(time1.read_request(*self.udp.socket.recvfrom(2048)))
        except BlockingIOError:
            pass
        return asked
