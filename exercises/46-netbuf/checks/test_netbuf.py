"""Checks of netbuf. The contract is in README.md."""

import random

import pytest

from labctl.testing import WITHIN_S, Lab, Submission, expect_equal, machine_error, until

WORDS = b"Hello, Network Buffer!"
ETHERNET, IP, TCP = 14, 20, 20


def play(
    submission: Submission, script: str, hint: str, *, count: int = 2, size: int = 1500
) -> None:
    """Tell a fresh netbuf the commands of a script, and compare: ``COMMAND -> ANSWER``."""
    program = submission.start("client", "netbuf", str(count), str(size), ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-4:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)


@pytest.mark.points(2)
def test_data_is_put_behind_data(submission: Submission, rng: random.Random) -> None:
    """data is put behind data, and the room there gets less"""
    one, other = rng.randbytes(11), rng.randbytes(5)
    play(
        submission,
        f"""
        alloc              -> 0 headroom=0 len=0 tailroom=100
        show 0             -> -
        put 0 {one.hex()}  -> 0 headroom=0 len=11 tailroom=89
        put 0 {other.hex()} -> 0 headroom=0 len=16 tailroom=84
        show 0             -> {(one + other).hex()}
        alloc              -> 1 headroom=0 len=0 tailroom=100
        put 1 {other.hex()} -> 1 headroom=0 len=5 tailroom=95
        show 1             -> {other.hex()}
        show 0             -> {(one + other).hex()}
        """,
        "put writes at tail and moves it; len is tail - data, tailroom is size - tail",
        size=100,
    )


@pytest.mark.needs("test_data_is_put_behind_data")
@pytest.mark.points(2)
def test_headers_are_pushed_in_front(submission: Submission, rng: random.Random) -> None:
    """headers are pushed in front of the data, into the room reserved for them"""
    ethernet, ip, tcp = rng.randbytes(ETHERNET), rng.randbytes(IP), rng.randbytes(TCP)
    play(
        submission,
        f"""
        alloc                 -> 0 headroom=0 len=0 tailroom=1500
        reserve 0 60          -> 0 headroom=60 len=0 tailroom=1440
        reserve 0 4           -> 0 headroom=64 len=0 tailroom=1436
        put 0 {WORDS.hex()}   -> 0 headroom=64 len=22 tailroom=1414
        push 0 {tcp.hex()}    -> 0 headroom=44 len=42 tailroom=1414
        push 0 {ip.hex()}     -> 0 headroom=24 len=62 tailroom=1414
        push 0 {ethernet.hex()} -> 0 headroom=10 len=76 tailroom=1414
        put 0 00ff            -> 0 headroom=10 len=78 tailroom=1412
        show 0                -> {(ethernet + ip + tcp + WORDS).hex()}00ff
        """,
        "reserve moves data and tail together; push moves data back, and writes there: 54 bytes of "
        "headers and 22 of data are 76, and 10 of the 64 are left",
    )


@pytest.mark.needs("test_headers_are_pushed_in_front")
@pytest.mark.points(2)
def test_layers_are_pulled_and_trimmed(submission: Submission, rng: random.Random) -> None:
    """headers are pulled off at the front, and what is too much is trimmed behind"""
    ethernet, packet, new = rng.randbytes(ETHERNET), rng.randbytes(28), rng.randbytes(18)
    play(
        submission,
        f"""
        alloc              -> 0 headroom=0 len=0 tailroom=1500
        reserve 0 4        -> 0 headroom=4 len=0 tailroom=1496
        put 0 {ethernet.hex()}{packet.hex()}{"00" * 18} -> 0 headroom=4 len=60 tailroom=1436
        pull 0 14          -> 0 headroom=18 len=46 tailroom=1436
        trim 0 28          -> 0 headroom=18 len=28 tailroom=1454
        show 0             -> {packet.hex()}
        push 0 {new.hex()} -> 0 headroom=0 len=46 tailroom=1454
        show 0             -> {(new + packet).hex()}
        pull 0 40          -> 0 headroom=40 len=6 tailroom=1454
        trim 0 6           -> 0 headroom=40 len=6 tailroom=1454
        show 0             -> {packet[-6:].hex()}
        pull 0 6           -> 0 headroom=46 len=0 tailroom=1454
        show 0             -> -
        put 0 aa           -> 0 headroom=46 len=1 tailroom=1453
        trim 0 0           -> 0 headroom=46 len=0 tailroom=1454
        reserve 0 2        -> 0 headroom=48 len=0 tailroom=1452
        """,
        "pull moves data, trim moves tail; no byte is moved, and what pull takes is headroom again",
    )


@pytest.mark.needs("test_headers_are_pushed_in_front")
@pytest.mark.points(2)
def test_what_has_no_room_is_refused(submission: Submission, rng: random.Random) -> None:
    """what has no room is refused, and changes nothing"""
    some = rng.randbytes(10).hex()
    play(
        submission,
        f"""
        alloc              -> 0 headroom=0 len=0 tailroom=32
        reserve 0 33       -> error: ENOBUFS
        reserve 0 8        -> 0 headroom=8 len=0 tailroom=24
        reserve 0 25       -> error: ENOBUFS
        put 0 {some}       -> 0 headroom=8 len=10 tailroom=14
        reserve 0 1        -> error: EBUSY
        push 0 {"ee" * 9}  -> error: ENOBUFS
        put 0 {"ee" * 15}  -> error: ENOBUFS
        pull 0 11          -> error: ENODATA
        trim 0 11          -> error: ENODATA
        pull 0 -1          -> error: EINVAL
        show 0             -> {some}
        push 0 {"ab" * 8}  -> 0 headroom=0 len=18 tailroom=14
        push 0 ee          -> error: ENOBUFS
        put 0 {"cd" * 14}  -> 0 headroom=0 len=32 tailroom=0
        put 0 ee           -> error: ENOBUFS
        show 0             -> {"ab" * 8}{some}{"cd" * 14}
        """,
        "before a mark moves: data - N >= 0, tail + N <= size, data + N <= tail? In C nothing else "
        "would stop you at the end of the buffer",
        size=32,
    )


@pytest.mark.needs("test_data_is_put_behind_data")
@pytest.mark.points(1)
def test_buffers_are_lent_and_taken_back(submission: Submission) -> None:
    """the pool lends each buffer to one user at a time, and lends it empty"""
    play(
        submission,
        """
        alloc              -> 0 headroom=0 len=0 tailroom=64
        alloc              -> 1 headroom=0 len=0 tailroom=64
        alloc              -> error: ENOBUFS
        put 1 aabbcc       -> 1 headroom=0 len=3 tailroom=61
        free 0             -> ok
        free 0             -> error: EINVAL
        show 0             -> error: EINVAL
        free 2             -> error: EINVAL
        alloc              -> 0 headroom=0 len=0 tailroom=64
        alloc              -> error: ENOBUFS
        show 1             -> aabbcc
        free 1             -> ok
        alloc              -> 1 headroom=0 len=0 tailroom=64
        show 1             -> -
        free 0             -> ok
        free 1             -> ok
        alloc              -> 0 headroom=0 len=0 tailroom=64
        """,
        "remember which are lent: a buffer that is given back twice must not be lent twice; and "
        "set both marks back when you lend it again",
        size=64,
    )


@pytest.mark.needs("test_data_is_put_behind_data")
@pytest.mark.points(1)
def test_what_makes_no_sense_is_refused(submission: Submission) -> None:
    """what makes no sense is refused, and changes nothing"""
    play(
        submission,
        """
        alloc              -> 0 headroom=0 len=0 tailroom=64
        put 0 abc          -> error: EINVAL
        put 0 zz           -> error: EINVAL
        put 0 AAbb         -> 0 headroom=0 len=2 tailroom=62
        show 0             -> aabb
        pull 0 x           -> error: EINVAL
        nonsense 0         -> error: EINVAL
        show 0             -> aabb
        """,
        "HEX is two digits for each byte, small or capital; answer `error: EINVAL`, and read on",
        size=64,
    )


@pytest.mark.needs("test_layers_are_pulled_and_trimmed")
@pytest.mark.points(1)
def test_it_builds_what_the_kernel_sends(lab: Lab, submission: Submission) -> None:
    """it builds a frame that the kernel has sent, and takes it apart again"""
    lab["client"].set("net.ipv4.tcp_timestamps", "0")  # so that the TCP header has no options
    listener = lab["server"].listen(8080)
    lab["client"].connect((lab["server"].address, 8080)).send(WORDS)
    accepted = listener.accept()
    accepted.receive_exactly(len(WORDS))
    data = "tcp dst port 8080 and tcp[tcpflags] & tcp-push != 0"
    if not until(lambda: bool(lab.packets(data, sent_by="client")), WITHIN_S):
        raise machine_error("the kernel's segment was not captured", where="check")
    frame = lab.packets(data, sent_by="client")[0].frame
    if len(frame) != ETHERNET + IP + TCP + len(WORDS):
        raise machine_error(f"the kernel's frame has {len(frame)} bytes", where="check")
    ethernet, ip, tcp = frame[:14], frame[14:34], frame[34:54]
    play(
        submission,
        f"""
        alloc                  -> 0 headroom=0 len=0 tailroom=1500
        reserve 0 64           -> 0 headroom=64 len=0 tailroom=1436
        put 0 {WORDS.hex()}    -> 0 headroom=64 len=22 tailroom=1414
        push 0 {tcp.hex()}     -> 0 headroom=44 len=42 tailroom=1414
        push 0 {ip.hex()}      -> 0 headroom=24 len=62 tailroom=1414
        push 0 {ethernet.hex()} -> 0 headroom=10 len=76 tailroom=1414
        show 0                 -> {frame.hex()}
        alloc                  -> 1 headroom=0 len=0 tailroom=1500
        put 1 {frame.hex()}    -> 1 headroom=0 len=76 tailroom=1424
        pull 1 14              -> 1 headroom=14 len=62 tailroom=1424
        pull 1 20              -> 1 headroom=34 len=42 tailroom=1424
        pull 1 20              -> 1 headroom=54 len=22 tailroom=1424
        show 1                 -> {WORDS.hex()}
        """,
        "the same steps as in the kernel: from the data outwards, and back",
    )
