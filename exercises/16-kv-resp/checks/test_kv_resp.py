"""Checks of kv-resp. The contract is in README.md."""

import random
from itertools import pairwise

import pytest
import resp
from resp import NOTHING, OK, PORT, SERVER, ask, command, expect_answer, number, string

from labctl.testing import Lab, Submission, expect, expect_equal

LAYOUT = (
    "README.md has every command and its answer, byte by byte: lines end with CR and LF, the name of a "
    "command may be in capital or small letters, and a command may have 16 strings"
)

CLIENTS = 50
"""So many the brief asks for."""

ARGUMENTS = ("-h", SERVER[0], "-p", str(PORT))


@pytest.mark.points(2)
def test_commands_are_answered(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """each command has its answer"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    key, content, other = (b"%d" % rng.randrange(10**6, 10**9) for _ in range(3))
    many = [key, b"k2", *(b"none-%d" % number for number in range(13))]
    for words, wanted in [
        ([b"PING"], b"+PONG\r\n"),
        ([b"PING", content], string(content)),
        ([b"ECHO", content], string(content)),
        ([b"GET", key], NOTHING),
        ([b"SET", key, content], OK),
        ([b"GET", key], string(content)),
        ([b"SET", key, other], OK),
        ([b"get", key], string(other)),
        ([b"Set", b"k2", content], OK),
        ([b"DBSIZE"], number(2)),
        ([b"EXISTS", key, b"k2", b"k3"], number(2)),
        ([b"EXISTS", *many], number(2)),
        ([b"DEL", key, b"k3"], number(1)),
        ([b"GET", key], NOTHING),
        ([b"DEL", key], number(0)),
        ([b"DBSIZE"], number(1)),
        ([b"QUIT"], OK),
    ]:
        ask(client, words, wanted, LAYOUT)
    client.expect_end(hint="QUIT is answered, then the connection is closed")


@pytest.mark.needs("test_commands_are_answered")
@pytest.mark.points(1)
def test_strings_may_hold_any_bytes(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """keys and values may hold any bytes"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = "the length in front says where a string ends; what is in it does not matter"
    for content in (b"", b"\r\n", b"$3\r\nGET\r\n", b"\0\xff\xfe\r\n\0", rng.randbytes(65536)):
        ask(client, [b"SET", b"k", content], OK, hint)
        ask(client, [b"GET", b"k"], string(content), hint)
    key = b"a key\r\nin two lines \0\xff"
    ask(client, [b"SET", key, b"yes"], OK, hint)
    ask(client, [b"GET", key], string(b"yes"), hint)


@pytest.mark.needs("test_commands_are_answered")
@pytest.mark.points(1)
def test_commands_may_come_in_pieces_and_together(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """commands may come in pieces, and many together"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = (
        "recv() returns some bytes, not a command: collect them, take out what is complete, and "
        "keep the rest for the next turn"
    )
    words = [b"SET", b"k", b"hello"]
    data = command(*words)
    for cuts in (rng.sample(range(1, len(data)), 3), range(1, len(data))):
        for start, end in pairwise([0, *sorted(cuts), len(data)]):
            client.send(data[start:end])
            resp.let_it_be_received(lab, client)
        expect_answer(client, words, OK, hint)

    dialogue = [
        ([b"SET", b"a", b"1"], OK),
        ([b"GET", b"a"], string(b"1")),
        ([b"DEL", b"a"], number(1)),
        ([b"DBSIZE"], number(1)),
        ([b"GET", b"k"], string(b"hello")),
    ]
    together = b"".join(command(*words) for words, _ in dialogue)
    cut = len(together) - rng.randrange(1, len(command(*dialogue[-1][0])))
    program.freeze()
    client.send(together[:cut])
    resp.let_it_arrive(client)
    program.thaw()
    for words, wanted in dialogue[:-1]:
        expect_answer(client, words, wanted, hint)
    client.send(together[cut:])
    expect_answer(client, *dialogue[-1], hint)


@pytest.mark.needs("test_commands_are_answered")
@pytest.mark.points(1)
def test_errors_are_answered(lab: Lab, submission: Submission) -> None:
    """an error is answered with -ERR; the connection ends only if the next command cannot be found"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = (
        "-ERR and a reason in one line, for a command that is not known as for too few or too many "
        "arguments; the command was complete, so the next one can be found"
    )
    for words in ([b"CONFIG", b"GET", b"save"], [b"GET"], [b"SET", b"k"], [b"DBSIZE", b"x"]):
        client.send(command(*words))
        what = f'an error as the answer to "{resp.typed(*words)}"'
        said = resp.answer(client, what, hint)
        expect(
            said.startswith(b"-ERR ") and said.endswith(b"\r\n"),
            expected=f"{what}: -ERR, a reason, CR and LF",
            actual=str(said)[1:],
            hint=hint,
        )
        ask(client, [b"DBSIZE"], number(0), hint)
    client.close()

    hint = (
        "a command begins with *, each string with $, both have a number, and CR and LF follow each "
        "number and each string; otherwise nobody knows where the next command begins, so answer -ERR "
        "and close"
    )
    for broken in (
        b"$4\r\n",
        b"*1\r\n+PING\r\n",
        b"*x\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$4\r\nPINGxx",
    ):
        client = lab["client1"].connect(SERVER)
        client.send(broken)
        what = f"the answer to {str(broken)[1:]}, which is no command"
        said = resp.answer(client, what, hint)
        expect_equal(said[:5], b"-ERR ", f"how {what}, begins", hint)
        client.expect_end(hint=hint)
        client.close()


@pytest.mark.needs("test_commands_are_answered")
@pytest.mark.points(1)
def test_fifty_clients_are_served_at_once(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """fifty clients are served at the same time, also while all but one stall in a command"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    clients = []
    for count in range(1, CLIENTS + 1):
        node, address = (("client1", SERVER[0]), ("client2", "10.0.2.1"))[count % 2]
        client = lab[node].connect((address, PORT))
        hint = (
            f"client {count} has come: {CLIENTS} are to be served at the same time, so go back to "
            f"accept() at once, and have no pool or table for fewer"
        )
        ask(client, [b"PING"], b"+PONG\r\n", hint)
        clients.append(client)
    other = clients.pop(rng.randrange(CLIENTS))
    request = command(b"SET", b"slow", b"a value that comes late")
    for client in clients:
        client.send(request[: rng.randrange(1, len(request))])
    resp.let_it_be_received(lab, *clients)
    hint = (
        f"{CLIENTS - 1} clients have sent a part of a command each: wherever the server waits for the "
        f"rest, it must not keep the last one waiting"
    )
    content = b"%d" % rng.randrange(10**9)
    ask(other, [b"SET", b"k", content], OK, hint)
    ask(other, [b"GET", b"k"], string(content), hint)


@pytest.mark.needs(
    "test_strings_may_hold_any_bytes",
    "test_commands_may_come_in_pieces_and_together",
    "test_errors_are_answered",
)
@pytest.mark.points(2)
def test_redis_cli_talks_to_it(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """redis-cli talks to it"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    hint = "what redis-cli sent and what it got is in the packets below; redis.io has the protocol"
    content = rng.randbytes(10_000)
    # -x: the last word is the standard input.
    stored = resp.run(lab, "redis-cli", *ARGUMENTS, "-x", "SET", "bytes", feed=content, hint=hint)
    expect_equal(stored.stdout, b"OK\n", "what `redis-cli -x SET bytes` prints", hint)
    got = resp.run(lab, "redis-cli", *ARGUMENTS, "--raw", "GET", "bytes", hint=hint)
    expect_equal(got.stdout, content + b"\n", "what `redis-cli --raw GET bytes` prints", hint)

    dialogue = {
        "PING": "PONG",
        "SET a hello": "OK",
        "GET a": '"hello"',
        "EXISTS a b": "(integer) 1",
        "DBSIZE": "(integer) 2",
        "DEL a": "(integer) 1",
        "GET a ": "(nil)",
    }
    feed = "".join(f"{line}\n" for line in dialogue).encode()
    said = resp.run(lab, "redis-cli", *ARGUMENTS, "--no-raw", feed=feed, hint=hint)
    lines = said.stdout.decode(errors="backslashreplace").splitlines()
    for number_, (line, wanted) in enumerate(dialogue.items()):
        printed = lines[number_] if number_ < len(lines) else "nothing"
        expect_equal(printed, wanted, f"what redis-cli prints for `{line.strip()}`", hint)


@pytest.mark.needs("test_redis_cli_talks_to_it")
@pytest.mark.points(2)
@pytest.mark.parametrize("pipelined", ["1", "16"])
def test_redis_benchmark_finds_no_error(lab: Lab, submission: Submission, pipelined: str) -> None:
    """redis-benchmark, with ten clients at once, finds no error"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    hint = (
        "ten clients are connected at the same time, and each waits for its answers: serve them "
        "all, as in kv-concurrent or kv-event"
    )
    # First without it: who is not served keeps redis-benchmark busy for as long as it may run.
    at_once = [lab["client1"].connect(SERVER) for _ in range(10)]
    for client in reversed(at_once):
        ask(client, [b"PING"], b"+PONG\r\n", hint)
        client.close()
    load = ("-t", "set,get", "-n", "5000", "-c", "10", "-P", pipelined, "-q")
    ended = resp.run(lab, "redis-benchmark", *ARGUMENTS, *load, hint=hint)
    said = (ended.stdout + ended.stderr).decode(errors="backslashreplace").replace("\r", "\n")
    expect(
        ended.exit_status == 0 and "Error from server" not in said,
        expected=f"`redis-benchmark {' '.join(load)}` exits with status 0",
        actual=f"it exits with status {ended.exit_status}, and said: {said.strip()[-200:]}",
        hint=hint,
    )
    client = lab["client2"].connect(("10.0.2.1", PORT))
    ask(client, [b"DBSIZE"], number(1), "redis-benchmark stores one key, over and over")
    ask(client, [b"EXISTS", b"key:__rand_int__"], number(1), "that is the key")
