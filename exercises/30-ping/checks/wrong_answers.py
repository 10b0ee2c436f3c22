"""What is no answer to a request, and is sent as one."""

import struct

import echo_peer
from echo_peer import IPV6, Family, Request

NEVER_SENT = 1000
"""So much more than a sequence number that was sent is one that was not."""

FROM_ELSEWHERE = "a reply from another address"
OF_IPV4 = (
    "a reply whose checksum is wrong",  # a raw socket of IPv6 cannot send one, and none gets one
    "a redirect",  # its filter keeps out all other types
)
WRONG_ERRORS = (
    "an error about somebody else's ping",
    "an error about a UDP datagram",
    "an error about a ping to another address",
    "an error that quotes 10 bytes only",
    "an error about an echo reply",
    "an error about a sequence number that was not sent",
    "a redirect",
)
HINTS = {
    "a reply with another identifier": "every raw socket gets every message: the identifier says "
    "whose it is",
    "a reply whose checksum is wrong": "the kernel gives a raw IPv4 socket its copy before it looks "
    "at the checksum: compute it yourself; over a message that is right it comes out as 0",
    FROM_ELSEWHERE: "the sender has to be ADDRESS; compare the bytes, not the text",
    "a reply with 4 bytes of data": "look at the length before you read 8 bytes of time",
    "a reply with a sequence number that was not sent": "remember how many were sent",
    "an echo request": "look at the type: the request is another one than the reply",
    "a message of 4 bytes": "look at the length before you read the header",
    **dict.fromkeys(
        WRONG_ERRORS,
        "an error quotes the packet that it is about: its IP header (protocol, destination) and 8 "
        "bytes of its ICMP header (type, identifier, sequence number); all of them have to be yours",
    ),
}
HINTS["a redirect"] = "type 5 quotes your packet, too, and says that it has gone on: no error"
WRONG = list(HINTS)
BY_ROUTER = (FROM_ELSEWHERE, *WRONG_ERRORS)


def wrong_answer(family: Family, asked: Request, wrong: str) -> bytes:
    """Return a message that looks like an answer to the request, and is none."""
    echo, error = echo_peer.echo_message, echo_peer.error_message
    identifier, seq, data, quoted = asked
    kind, code = family.errors[0]
    addresses_at, protocol_at = (8, 6) if family is IPV6 else (12, 9)
    header = len(quoted) - 8
    match wrong:
        case "a reply with another identifier":
            return echo(family, family.reply, identifier ^ 0x0101, seq, data)
        case "a reply whose checksum is wrong":
            good = echo(family, family.reply, identifier, seq, data)
            return good[:-1] + bytes([good[-1] ^ 0x10])
        case "a reply with 4 bytes of data":
            return echo(family, family.reply, identifier, seq, data[:4])
        case "a reply with a sequence number that was not sent":
            return echo(family, family.reply, identifier, seq + NEVER_SENT, data)
        case "an echo request":
            return echo(family, family.request, identifier, seq, data)
        case "a message of 4 bytes":
            return echo_peer.message(family, family.reply, 0, b"")
        case "an error about somebody else's ping":
            other = struct.pack("!HH", identifier ^ 0x0101, seq)
            return error(family, kind, code, quoted[:-4] + other)
        case "an error about a sequence number that was not sent":
            other = struct.pack("!HH", identifier, seq + NEVER_SENT)
            return error(family, kind, code, quoted[:-4] + other)
        case "an error about an echo reply":
            reply = bytes([family.reply])
            return error(family, kind, code, quoted[:header] + reply + quoted[header + 1 :])
        case "a redirect":
            return error(family, 5, 1, quoted)
        case "an error about a UDP datagram":
            udp = quoted[:protocol_at] + b"\x11" + quoted[protocol_at + 1 :]
            return error(family, kind, code, udp)
        case "an error about a ping to another address":
            # Source and destination change places.
            half = (header - addresses_at) // 2
            ends = quoted[addresses_at:header]
            swapped = quoted[:addresses_at] + ends[half:] + ends[:half] + quoted[header:]
            return error(family, kind, code, swapped)
        case "an error that quotes 10 bytes only":
            return error(family, kind, code, quoted[:10])
        case _:  # good, but for who sends it
            return echo(family, family.reply, identifier, seq, data)
