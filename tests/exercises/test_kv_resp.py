import os
import socket
from collections.abc import Iterator

import pytest

from tests.exercises.running import connect, read_all, serving

Address = tuple[str, int]


@pytest.fixture(scope="module")
def store() -> Iterator[Address]:
    with serving("kv-resp/kv_store") as (_, address):
        yield address


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def talk(address: Address, request: bytes) -> bytes:
    """Send all of it, close the sending side, and return all of the answer."""
    with connect(address) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([b"PING"], b"+PONG\r\n"),
        ([b"ping", b"hi"], b"$2\r\nhi\r\n"),
        ([b"ECHO", b""], b"$0\r\n\r\n"),
        ([b"GET", b"nobody"], b"$-1\r\n"),
        ([b"DEL", b"nobody", b"else"], b":0\r\n"),
        ([b"DBSIZE"], b":0\r\n"),
        ([b"QUIT"], b"+OK\r\n"),
        ([b"SET", b"k"], b"-ERR wrong number of arguments for 'set' command\r\n"),
        ([b"\x1b[2J\n"], b"-ERR unknown command '\\x1b[2J\\n'\r\n"),
    ],
)
def test_commands_and_their_answers(store: Address, words: list[bytes], answer: bytes) -> None:
    assert talk(store, command(*words)) == answer


def test_strings_of_the_largest_size() -> None:
    key, value = os.urandom(65536), os.urandom(65536)
    dialogue = [command(b"SET", key, value), command(b"GET", key), command(b"EXISTS", key, key)]
    with serving("kv-resp/kv_store") as (_, address):
        answer = talk(address, b"".join(dialogue))
    assert answer == b"+OK\r\n$65536\r\n%b\r\n:2\r\n" % value


@pytest.mark.parametrize(
    "bad",
    [
        b"PING\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*17\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n$65537\r\n",
        b"*1\r\n$4\r\nPINGPONG\r\n",
        b"*1\n$4\nPING\n" + b"x" * 100,
    ],
)
def test_what_is_no_command_ends_the_conversation(store: Address, bad: bytes) -> None:
    answer = talk(store, bad + command(b"PING"))
    assert answer.startswith(b"-ERR Protocol error: ")
    assert answer.count(b"\n") == 1


def test_a_command_may_be_cut_anywhere(store: Address) -> None:
    data = command(b"ECHO", b"a\r\nb")
    for cut in range(1, len(data)):
        with connect(store) as connection:
            connection.sendall(data[:cut])
            connection.sendall(data[cut:])
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b"$4\r\na\r\nb\r\n"
