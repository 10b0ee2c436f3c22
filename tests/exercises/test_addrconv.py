import socket

import pytest

from tests.exercises.running import run


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("192.168.1.100", "c0a80164"),
        ("127.0.0.1", "7f000001"),
        ("0.0.0.0", "00000000"),
        ("255.255.255.255", "ffffffff"),
    ],
)
def test_an_address_becomes_four_bytes_and_text_again(text: str, packed: str) -> None:
    done = run("addrconv/addrconv", text)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{text} -> {packed} -> {text}\n"


@pytest.mark.parametrize(
    "text",
    ["256.0.0.1", "abrakadabra", "127.1", "0x7f.1", "010.0.0.1", "1.2.3.4 ", "", "1.2.3.4.5"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    done = run("addrconv/addrconv", text)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f'error: inet_pton: "{text}" is not an IPv4 address\n'


def test_the_comment_about_inet_aton_is_true() -> None:
    assert socket.inet_aton("127.1") == socket.inet_aton("0x7f.1") == bytes([127, 0, 0, 1])
    assert socket.inet_aton("2130706433") == bytes([127, 0, 0, 1])
    assert socket.inet_aton("010.0.0.1") == bytes([8, 0, 0, 1])
    assert socket.inet_aton("1.2.3.4 x") == bytes([1, 2, 3, 4])
