"""The server that the checks play: it answers what it wants, when it wants."""

import random

import time1

from labctl.testing import WITHIN_S, Lab, Program, expect, unmet, until

AT_CLIENT1 = ("10.0.1.1", 8080)
AT_CLIENT2 = ("10.0.2.1", 8080)


class Server:
    """A UDP socket at port 8080 of the node `server`."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self.udp = lab["server"].udp(bind=("0.0.0.0", 8080))
        self.t_server = rng.randrange(10**18, 2 * 10**18)

    def request(self, client: Program, expected: str, hint: str) -> time1.Asked:
        """Return the next request. Fails where none comes, at once if the client has ended."""
        asked: list[time1.Asked] = []

        def came_or_ended() -> bool:
            # In this order: what a client has sent is here before its end is known.
            has_ended = not client.is_running()
            asked.extend(self.arrived(most=1))
            return bool(asked) or has_ended

        until(came_or_ended, WITHIN_S)
        if not asked and client.is_running():
            unmet(f"{expected} within {WITHIN_S:g} s", "it did not come", hint)
        if not asked:
            unmet(expected, f"it did not come; the program {client.how_it_ended()}", hint)
        return asked[0]

    def answer(self, asked: time1.Asked, t_server: int = 0) -> None:
        self.udp.send(time1.answer_to(asked, t_server or self.t_server), to=asked.sender)

    def serve(self, client: Program) -> time1.Asked:
        """Answer every request until the client has ended; return its last one."""
        asked = self.answer_all(client)
        expect(
            asked,
            expected="a request that gets through",
            actual="none did",
            hint="go on asking, as often as -n says, with the waits that -t says",
        )
        return asked[-1]

    def answer_all(self, client: Program) -> list[time1.Asked]:
        """Answer every request until the client has ended; return them."""
        asked: list[time1.Asked] = []

        def has_ended() -> bool:
            is_over = not client.is_running()
            for each in self.arrived():
                asked.append(each)
                self.answer(each)
            return is_over

        until(has_ended, 2 * WITHIN_S)
        return asked

    def arrived(self, most: int = 1000) -> list[time1.Asked]:
        """Return the requests that are here by now."""
        self.udp.socket.setblocking(False)
        asked: list[time1.Asked] = []
        try:
            while len(asked) < most:
                asked.append(time1.read_request(*self.udp.socket.recvfrom(2048)))
        except BlockingIOError:
            pass
        return asked
