#!/usr/bin/env python3
"""Collect messages from programs and hosts, and pass each on to whom it concerns.

usage: syslogd ADDRESS PORT [FILE]

Hears UDP there, and the local socket @/dev/log (an abstract address). A line of FILE is a rule;
# begins a comment. Without FILE there is one rule, *.* -

    SELECTOR[;SELECTOR...] ACTION       such as    *.info;mail.none  @10.0.2.2:5514

A SELECTOR is FACILITY[,FACILITY...].LEVEL: this level and worse; later ones win. * is all
facilities, or all levels; the level none is none. ACTION is - (standard output) or @ADDRESS:PORT
(UDP). Messages are those of RFC 3164 and RFC 5424. Prints ``READY`` when they can come.

What it shows: a protocol that was written down after everybody had spoken it for years. A receiver
makes the best of what comes, and what goes out is right.
"""

import errno
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

LOCAL = "\0/dev/log"

USER_NOTICE = 13
"""What a message has that does not say."""

MOST_BYTES = {"RFC 3164": 1024, "RFC 5424": 2048}

NAMED = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron")
FACILITIES = {name: number for number, name in enumerate((*NAMED, "authpriv", "ftp"))}
FACILITIES |= {f"local{number}": 16 + number for number in range(8)}

SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
LEVELS = {name: number for number, name in enumerate(SEVERITIES)}
LEVELS |= {"panic": 0, "error": 3, "warn": 4}
NONE = -1

# No zeros in front: <013> is no priority.
PRIORITY = re.compile(rb"<(0|[1-9][0-9]{0,2})>")
LARGEST_PRIORITY = 191
VERSION_1 = re.compile(rb"1 (-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+) ")
TIMESTAMP = re.compile(
    rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    rb"( [1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] "
)


class Rule(NamedTuple):
    """Who gets what."""

    thresholds: tuple[int, ...]
    """Of each facility, the largest level; NONE for none."""
    to: tuple[str, int] | None
    """Standard output, if that is None."""


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: bytes) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, line + b"\n")


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def endpoint(address: str, port: str, lowest: int = 0) -> tuple[str, int]:
    """Check what the user typed. Raises ``ValueError`` that says what is wrong with it."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        raise ValueError(f'address: "{address}" is not an IPv4 address') from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and lowest <= int(port) <= 65535):
        raise ValueError(f'port: "{port}" is not a number from {lowest} to 65535')
    return address, int(port)


def parse_rule(line: str) -> Rule:
    """Read one line of the configuration. Raises ``ValueError``."""
    words = line.split()
    if len(words) != 2:
        raise ValueError("a rule is SELECTOR ACTION")
    thresholds = [NONE] * 24
    for selector in words[0].split(";"):
        facilities, dot, level = selector.rpartition(".")
        if not dot or level not in {*LEVELS, "*", "none"}:
            raise ValueError(f'"{selector}" has no level')
        for name in facilities.split(","):
            if name != "*" and name not in FACILITIES:
                raise ValueError(f'"{name}" is no facility')
            for number in range(24) if name == "*" else [FACILITIES[name]]:
                # The later one wins, or `mail.none` behind `*.info` would mean nothing.
                thresholds[number] = {**LEVELS, "*": 7, "none": NONE}[level]
    if words[1] == "-":
        return Rule(tuple(thresholds), None)
    if not words[1].startswith("@"):
        raise ValueError(f'"{words[1]}" is no action')
    address, _, port = words[1][1:].rpartition(":")
    return Rule(tuple(thresholds), endpoint(address, port, 1))


def read_rules(path: str) -> list[Rule]:
    """Return the rules of a file; complain of the lines that are none."""
    rules = []
    with calling("open"), open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    rules.append(parse_rule(line))
                except ValueError as error:
                    note(f"{path}:{number}: {error}")
    return rules


def priority_of(message: bytes) -> tuple[int, bytes] | None:
    """Return the priority and what comes behind; None where there is no good one."""
    match = PRIORITY.match(message)
    if match is None or int(match[1]) > LARGEST_PRIORITY:
        return None
    return int(match[1]), message[match.end() :]


def timestamp() -> bytes:
    """Return the time as RFC 3164 writes it: a day below 10 has a blank, no zero."""
    return time.ctime()[4:20].encode()  # Thu Jan  1 00:00:00 1970


def completed(message: bytes, host: bytes, *, is_local: bool) -> tuple[int, bytes]:
    """Return a message's priority, and the message with all that belongs in front."""
    found = priority_of(message)
    if found is None:
        # All of it is text: whatever looks like half a priority was meant to be one, or not.
        text = b"<%d>%b%b %b" % (USER_NOTICE, timestamp(), host, message)
        return USER_NOTICE, text[: MOST_BYTES["RFC 3164"]]
    priority, rest = found
    if VERSION_1.match(rest):
        return priority, message[: MOST_BYTES["RFC 5424"]]
    message, rest = message[:1024], rest[: 1024 - message.index(b">") - 1]
    stamped = TIMESTAMP.match(rest)
    if stamped is None:
        text = b"<%d>%b%b %b" % (priority, timestamp(), host, rest)
    elif is_local:
        # syslog(3) writes the time and no host: it is this one.
        text = b"<%d>%b%b %b" % (priority, stamped[0], host, rest[stamped.end() :])
    else:
        text = message  # whoever has sent it knew the host
    return priority, text


def one_line(message: bytes) -> bytes:
    """Return the message as it may be shown: no second line that somebody made up."""
    return re.sub(rb"[\x00-\x1f\x7f]", lambda match: b"#%03o" % match[0][0], message)


def dispatch(rules: list[Rule], priority: int, message: bytes, sender: socket.socket) -> None:
    """Hand a message to everybody who is to have it."""
    facility, level = divmod(priority, 8)
    for rule in rules:
        if level > rule.thresholds[facility]:
            continue
        if rule.to is None:
            say(one_line(message))
        else:
            # A host that cannot be reached is no reason to stop: nobody else would get theirs.
            with suppress(OSError):
                sender.sendto(message, rule.to)


def serve(udp: socket.socket, local: socket.socket, rules: list[Rule]) -> None:
    """Take what comes, for ever."""
    selector = selectors.DefaultSelector()
    # Not connected: so nothing of what others answer comes back, and no error does.
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for sock in (udp, local):
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            try:
                # Long enough for any: what does not fit the buffer is lost.
                message, who = (udp if key.fileobj is udp else local).recvfrom(65536)
            except OSError:
                continue
            is_local = key.fileobj is local
            host = b"localhost" if is_local else who[0].encode()
            # Some end a line, some end a string in C.
            dispatch(rules, *completed(message.rstrip(b"\n\0"), host, is_local=is_local), sender)


def main(arguments: list[str]) -> None:
    if len(arguments) not in (2, 3):
        print("usage: syslogd ADDRESS PORT [FILE]", file=sys.stderr)
        sys.exit(2)
    try:
        wanted = endpoint(arguments[0], arguments[1])
    except ValueError as error:
        sys.exit(f"error: {error}")
    rules = read_rules(arguments[2]) if len(arguments) == 3 else [parse_rule("*.* -")]
    with calling("socket"):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with udp, local:
        with calling("bind"):
            udp.bind(wanted)
            local.bind(LOCAL)
        if wanted[1] == 0:
            say(f"bound to {udp.getsockname()[0]}:{udp.getsockname()[1]}".encode())
        say(b"READY")
        serve(udp, local, rules)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
