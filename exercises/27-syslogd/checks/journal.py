"""A syslogd with its rules, and who sends to it and hears from it."""

import re
import socket
import time

from labctl.testing import WITHIN_S, Lab, Program, Submission, Udp, expect

PORT = 5140
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)

LISTENER = "10.0.2.2"
"""client2, to which messages are passed on."""

LISTENER_PORT = 5514

EVERYTHING = f"*.* @{LISTENER}:{LISTENER_PORT}"

CONFIGURATION = "syslog.conf"

LOCAL = "\0/dev/log"

TIMESTAMP = r"[JFMASOND][a-z]{2} [ 123]\d \d\d:\d\d:\d\d"

_PLACE = f'printf %s "$1" >{CONFIGURATION}; shift; exec "$@"'


def start(submission: Submission, *rules: str) -> Program:
    """Start it with these lines as its configuration."""
    text = "".join(f"{rule}\n" for rule in rules)
    through = ("sh", "-c", _PLACE, "place", text)
    arguments = ("0.0.0.0", str(PORT), CONFIGURATION)
    return submission.start("server", "syslogd", *arguments, through=through)


def listener(lab: Lab, port: int = LISTENER_PORT) -> Udp:
    return lab["client2"].udp(bind=(LISTENER, port))


def send(lab: Lab, *messages: bytes) -> None:
    """Send messages from client1, 10.0.1.2."""
    client = lab["client1"].udp()
    for message in messages:
        client.send(message, to=SERVER)


def send_locally(lab: Lab, message: bytes, hint: str) -> None:
    sock = lab["server"].socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(WITHIN_S)
    try:
        sock.sendto(message, LOCAL)
    except ConnectionRefusedError:
        actual = "ECONNREFUSED: no socket has that name"
        expect(False, expected="a datagram socket at @/dev/log", actual=actual, hint=hint)


def hear(receiver: Udp, hint: str, to: bytes = b"the message") -> bytes:
    shown = repr(to[:60])[1:]
    return receiver.receive(expected=f"{shown} is passed on", hint=hint)


def expect_completed(got: bytes, priority: int, host: str, text: bytes, hint: str) -> None:
    """Compare with ``<PRIORITY>TIMESTAMP HOST TEXT``, where the time is now."""
    match = re.fullmatch(rb"<(\d+)>(%b) (\S+) (.*)" % TIMESTAMP.encode(), got, re.DOTALL | re.ASCII)
    wanted = f"<{priority}>{time.ctime()[4:19]} {host} {repr(text)[2:-1]}"
    is_good = match is not None and (match[1], match[3], match[4]) == (
        b"%d" % priority,
        host.encode(),
        text,
    )
    if is_good and match is not None:
        is_good = is_now(match[2].decode())
    expect(is_good, expected=wanted, actual=repr(got)[2:-1][:300], hint=hint)


def is_now(stamp: str) -> bool:
    """Whether that is the time, in whatever time zone: these differ by quarters of an hour."""
    year = time.localtime().tm_year
    try:
        told = time.mktime(time.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S"))
    except ValueError:
        return False
    return abs((told - time.time() + 450) % 900 - 450) < 60
