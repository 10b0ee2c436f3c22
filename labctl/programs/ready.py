"""When a program counts as ready: ``listening udp/8080``, ``log TEXT``."""

import re
from typing import NamedTuple

from labctl.errors import LabError

_LISTENING = re.compile(r"listening (tcp|udp)/(\d{1,5})", re.ASCII)

FORMS = "listening udp/PORT, listening tcp/PORT, log TEXT"


class Listening(NamedTuple):
    """Ready once a socket of the node has the port."""

    protocol: str
    port: int


class Logged(NamedTuple):
    """Ready once the program's output contains the text."""

    text: str


def parse_ready(condition: str) -> Listening | Logged | None:
    """Return the condition as a value, ``None`` for an empty one. Raises ``LabError``."""
    if not condition:
        return None
    if (match := _LISTENING.fullmatch(condition)) and 0 < int(match[2]) < 65536:
        return Listening(match[1], int(match[2]))
    if condition.startswith("log ") and condition[4:].strip():
        return Logged(condition[4:])
    raise LabError(
        f'"{condition}" is not a condition to wait for', hint=f"the conditions are: {FORMS}"
    )
