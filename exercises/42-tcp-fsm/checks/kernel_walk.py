"""What sockets of the kernel do in a lab, step by step, and tcp_fsm taken through the same."""

import socket
import struct
from typing import NamedTuple

from labctl.observe.sighting import Sighting
from labctl.testing import WITHIN_S, Lab, Submission, machine_error, unmet, until

PORT = 8080
_SHUT = 8081
_NAMES = {"ESTAB": "ESTABLISHED", "UNCONN": "CLOSED", "SYN-RECV": "SYN-RECEIVED"}
_HINT = "the kernel's segments are in the capture; options and windows are left out here"


class Step(NamedTuple):
    """What one node did between two moments at which all was quiet."""

    call: str
    """What its user asked for; empty where it was only the peer's turn."""
    received: tuple[str, ...]
    sent: tuple[str, ...]
    state: str


Walk = dict[str, list[Step]]


class Watch:
    """Cuts what is on the wire into steps."""

    def __init__(self, lab: Lab, port: int) -> None:
        self.lab = lab
        self.port = port
        self.walk: Walk = {"client": [], "server": []}
        self._seen: dict[tuple[str, bool], set[str]] = {}
        self._taken = 0

    def step(
        self, calls: dict[str, str], states: dict[str, str], frames: dict[str, tuple[int, int]]
    ) -> None:
        """Wait for the states and for so many segments, received and sent; note down what was."""
        until(lambda: self._are(states) and self._counts() == frames, WITHIN_S)
        if not (self._are(states) and self._counts() == frames):
            raise machine_error(
                f"after {calls} the kernel is to be in {states} with {frames} segments; "
                f"it has {self._counts()}",
                where="check",
            )
        new = self._new()
        for node in self.walk:
            received, sent = new[node]
            # Where there is no socket any more there is no state to be read.
            self.walk[node].append(Step(calls.get(node, ""), received, sent, states[node]))
        self._taken = len(self._segments())
        for node, (received, sent) in new.items():
            self._seen.setdefault((node, False), set()).update(map(_same, received))
            self._seen.setdefault((node, True), set()).update(map(_same, sent))

    def _are(self, states: dict[str, str]) -> bool:
        return all(state in (self._states(node) or {"CLOSED"}) for node, state in states.items())

    def _states(self, node: str) -> set[str]:
        entries = self.lab[node].sockets("tcp", self.port)
        connections = [entry.state for entry in entries if entry.state != "LISTEN"]
        return {_NAMES.get(state, state) for state in connections}

    def _segments(self) -> list[Sighting]:
        return self.lab.packets(f"tcp port {self.port}")

    def _new(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return what each node received and sent since the last step, without repetitions."""
        new = {}
        for node in self.walk:
            pair = []
            for is_outgoing in (False, True):
                texts: list[str] = []
                seen = set(self._seen.get((node, is_outgoing), ()))
                for sighting in self._segments()[self._taken :]:
                    if (sighting.node, sighting.is_outgoing) == (node, is_outgoing):
                        text = _segment(sighting.frame)
                        if _same(text) not in seen:  # else TCP's own repetition
                            texts.append(text)
                        seen.add(_same(text))
                pair.append(tuple(texts))
            new[node] = (pair[0], pair[1])
        return new

    def _counts(self) -> dict[str, tuple[int, int]]:
        return {node: (len(got), len(sent)) for node, (got, sent) in self._new().items()}


def refuse(lab: Lab) -> Walk:
    """Connect to a port where nobody listens."""
    watch = Watch(lab, _SHUT)
    lab["client"].connect_error((lab["server"].address, _SHUT))
    closed = {"client": "CLOSED", "server": "CLOSED"}
    watch.step({"client": "connect"}, closed, {"client": (1, 1), "server": (1, 1)})
    return watch.walk


def connect(lab: Lab) -> tuple[Watch, socket.socket, socket.socket]:
    """Make a connection."""
    watch = Watch(lab, PORT)
    listener = lab["server"].listen(PORT)
    client = lab["client"].connect((lab["server"].address, PORT))
    server = listener.accept()
    listener.close()
    open_ = {"client": "ESTABLISHED", "server": "ESTABLISHED"}
    watch.step(
        {"client": "connect", "server": "listen"}, open_, {"client": (1, 2), "server": (2, 1)}
    )
    return watch, client.socket, server.socket


def close_at_once(lab: Lab, made: tuple[Watch, socket.socket, socket.socket]) -> Walk:
    """Let both ends close before either hears of the other: the client's FIN is held up."""
    watch, client, server = made
    fin = {"drop": {"match": "tcp[tcpflags] & tcp-fin != 0"}}
    with lab.faults({"client->server": [fin]}):
        client.shutdown(socket.SHUT_WR)
        states = {"client": "FIN-WAIT-1", "server": "ESTABLISHED"}
        watch.step({"client": "close"}, states, {"client": (0, 1), "server": (0, 0)})
        server.shutdown(socket.SHUT_WR)
        states = {"client": "CLOSING", "server": "FIN-WAIT-2"}
        watch.step({"server": "close"}, states, {"client": (1, 1), "server": (1, 1)})
    states = {"client": "TIME-WAIT", "server": "TIME-WAIT"}
    watch.step({}, states, {"client": (1, 0), "server": (1, 1)})
    return watch.walk


def replay(submission: Submission, walk: Walk, node: str) -> None:
    """Take tcp_fsm through a walk; it has to send what the kernel sent, and be where it was."""
    first = next((text for step in walk[node] for text in step.sent if "SYN" in text), "seq=0")
    program = submission.start(
        "client", "tcp_fsm", first.partition("seq=")[2].split()[0], ready=False
    )
    told: list[str] = []
    for step in walk[node]:
        sent: list[str] = []
        state = ""
        for event in [*filter(None, [step.call]), *(f"< {text}" for text in step.received)]:
            answer = program.ask(event, hint=_HINT)
            state, _, rest = answer.partition(" ")
            sent += [part.split(" @")[0].split(" !")[0].strip() for part in rest.split("> ")[1:]]
            told.append(event)
        if state and (sent, state) != (list(step.sent), step.state):
            unmet(
                f"after {'; '.join(told)}, as the {node}'s kernel: {step.state}, "
                f"and sent was {', '.join(step.sent) or 'nothing'}",
                f"{state}, and sent was {', '.join(sent) or 'nothing'}",
                _HINT,
            )


def _same(text: str) -> str:
    """Return what does not change when TCP sends a segment again."""
    flags, seq, *_ = text.split()
    return f"{flags} {seq}" if {"SYN", "FIN"} & set(flags.split(",")) else text


def _segment(frame: bytes) -> str:
    """Return a segment as tcp_fsm writes it."""
    header = 14 + 4 * (frame[14] & 15)
    total = int.from_bytes(frame[16:18], "big")
    seq, ack = struct.unpack_from("!II", frame, header + 4)
    length = total - (header - 14) - 4 * (frame[header + 12] >> 4)
    bits = frame[header + 13]
    names = [name for name, bit in (("SYN", 2), ("FIN", 1), ("RST", 4), ("ACK", 16)) if bits & bit]
    text = f"{','.join(names)} seq={seq}" + (f" ack={ack}" if bits & 16 else "")
    return f"{text} len={length}" if length else text
