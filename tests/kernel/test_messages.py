import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel import messages

Pair = tuple[socket.socket, socket.socket]


def _descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        yield near, far


@pytest.mark.parametrize("size", [0, 1000, 65_000, 70_000, 5_000_000])
def test_a_message_of_any_size_arrives_whole(pair: Pair, size: int) -> None:
    near, far = pair
    messages.send(near, {"text": "x" * size})

    assert messages.receive(far) == ({"text": "x" * size}, [])


@pytest.mark.parametrize("size", [10, 500_000])
def test_descriptors_travel_with_it_and_are_not_inherited(pair: Pair, size: int) -> None:
    near, far = pair
    with Path(os.devnull).open() as file:
        messages.send(near, {"text": "x" * size}, [file.fileno()])
        _, (fd,) = messages.receive(far)
        same = os.path.samestat(os.fstat(fd), os.fstat(file.fileno()))
    inheritable = os.get_inheritable(fd)
    os.close(fd)

    assert same
    assert not inheritable


def test_words_that_are_not_utf_8_arrive_as_they_were(pair: Pair) -> None:
    near, far = pair
    word = os.fsdecode(b"gr\xfc\xdfe")
    messages.send(near, {"argv": [word]})

    assert messages.receive(far) == ({"argv": [word]}, [])


def test_a_closed_end_is_no_message(pair: Pair) -> None:
    near, far = pair
    near.close()

    assert messages.receive(far) == (None, [])


@pytest.mark.parametrize("data", [b"\xff", b"{", b"[]", b"7", b"in file"])
def test_what_is_no_message_is_refused(pair: Pair, data: bytes) -> None:
    near, far = pair
    near.send(data)

    with pytest.raises((ValueError, IndexError)):
        messages.receive(far)


def test_descriptors_of_a_refused_message_are_closed(pair: Pair) -> None:
    near, far = pair
    with Path(os.devnull).open() as file:
        socket.send_fds(near, [b"nonsense"], [file.fileno(), file.fileno()])
    before = _descriptors()
    with pytest.raises(ValueError, match="Expecting value"):
        messages.receive(far)

    assert _descriptors() == before
