"""Checks of kv-iterative. The contract is in README.md."""

import random
import string

import kv1
import pytest
from kv1 import PORT, SERVER, SERVER_FROM_CLIENT2, answer, ask, expect_answer, put, value

from labctl.testing import Lab, Submission, Tcp, expect, expect_equal

STREAM = (
    "recv() returns some bytes, not a request: collect them, cut off what is complete, and keep "
    "the rest for the next turn"
)


def word(rng: random.Random) -> bytes:
    return "".join(rng.choices(string.ascii_lowercase, k=8)).encode()


@pytest.mark.points(2)
def test_requests_are_answered(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """each request has its answer: PUT, GET, DEL, COUNT, QUIT"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    key, first, second = word(rng), word(rng), word(rng) * 2
    hint = "README.md has every request, its answers and where each LF is"
    for request, wanted in [
        (b"COUNT\n", b"COUNT 0\n"),
        (b"GET %b\n" % key, b"NOTFOUND\n"),
        (put(key, first), b"OK\n"),
        (b"GET %b\n" % key, value(first)),
        (put(key, second), b"OK\n"),
        (b"GET %b\n" % key, value(second)),
        (put(b"!" * 64, first), b"OK\n"),
        (b"COUNT\n", b"COUNT 2\n"),
        (b"DEL %b\n" % key, b"OK\n"),
        (b"DEL %b\n" % key, b"NOTFOUND\n"),
        (b"GET %b\n" % key, b"NOTFOUND\n"),
        (b"COUNT\n", b"COUNT 1\n"),
    ]:
        ask(client, request, wanted, hint)
    client.send(b"QUIT\n")
    client.expect_end(hint="QUIT has no answer: close the connection")


def _values(rng: random.Random) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "an LF": b"\n",
        "blanks at both ends": b"  \t x \r\n ",
        "what looks like a request": b"GET k\nQUIT\n",
        "zero bytes and bytes above 127": b"\0\0\xff\xfe\x80\0",
        "4096 bytes of any kind": rng.randbytes(4096),
    }


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_value_may_hold_any_bytes(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a value may hold any bytes"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = (
        "the length says where the value ends, not what is in it: read so many bytes and the LF "
        "behind them, and keep them as bytes"
    )
    for what, content in _values(rng).items():
        hint_here = f"the value is {what}; {hint}"
        ask(client, put(b"k", content), b"OK\n", hint_here)
        ask(client, b"GET k\n", value(content), hint_here)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_bad_request_is_answered_and_the_next_one_too(lab: Lab, submission: Submission) -> None:
    """a bad request is answered with ERR, and the next one is served"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = "ERR and a reason; the line is complete, so the next request begins behind its LF"
    for bad in (b"HELLO\n", b"\n", b"GET\n", b"GET %b\n" % (b"k" * 65), b"GET a b\n", b"COUNT x\n"):
        client.send(bad)
        said = answer(client, bad, hint)
        expect(
            said.startswith(b"ERR "),
            expected=f"ERR and a reason for {kv1.shown(bad)}",
            actual=str(said)[1:],
            hint=hint,
        )
        ask(client, b"COUNT\n", b"COUNT 0\n", hint)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_line_without_end_is_refused(lab: Lab, submission: Submission) -> None:
    """a line that is too long is answered with ERR, and the connection is closed"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    hint = "after 1024 bytes without an LF answer ERR and close: the next request cannot be found"
    line = b"x" * 1025
    client.send(line)
    said = answer(client, line, hint)
    expect(
        said.startswith(b"ERR "),
        expected="ERR and a reason for 1025 bytes without an LF",
        actual=str(said)[1:],
        hint=hint,
    )
    kv1.expect_closed(lab, "client1", client, hint)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_request_may_come_in_pieces(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a request may come in pieces"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    request, wanted = put(b"key", b"abc"), b"OK\n"
    every = range(1, len(request))
    for cuts in (rng.sample(every, 2), rng.sample(every, 3), every):
        kv1.send_in_pieces(lab, client, request, cuts, to="server")
        expect_answer(client, request, wanted, STREAM)
    ask(client, b"GET key\n", value(b"abc"), STREAM)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_many_requests_may_come_at_once(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """many requests may come at once, the last of them incomplete"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    first, second = word(rng), word(rng) * 3
    dialogue = [
        (put(b"a", first), b"OK\n"),
        (b"GET a\n", value(first)),
        (put(b"b", second), b"OK\n"),
        (b"COUNT\n", b"COUNT 2\n"),
        (b"GET b\n", value(second)),
        (b"DEL a\n", b"OK\n"),
        (put(b"c", second), b"OK\n"),
    ]
    together = b"".join(request for request, _ in dialogue)
    cut = len(together) - rng.randrange(1, len(dialogue[-1][0]))
    program.freeze()
    client.send(together[:cut])
    kv1.let_it_arrive(client, together)
    program.thaw()
    for request, wanted in dialogue[:-1]:
        expect_answer(client, request, wanted, STREAM)
    client.send(together[cut:])
    expect_answer(client, *dialogue[-1], STREAM)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(2)
def test_the_second_client_is_served_after_the_first(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the second client waits, and is served after the first"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    first = lab["client1"].connect(SERVER)
    stored = word(rng)
    ask(first, put(b"k", stored), b"OK\n")

    second = lab["client2"].connect(
        SERVER_FROM_CLIENT2, hint="listen() with a backlog: the kernel connects who waits"
    )
    second.send(b"GET k\n")
    kv1.let_it_arrive(second, b"GET k\n")
    for _ in range(20):
        ask(first, b"COUNT\n", b"COUNT 1\n", "the first client is served to its end")
    expect_equal(
        second.unread,
        0,
        "bytes for the second client while the first is connected",
        "one client after the other: accept() the next when recv() has returned 0",
    )

    first.close()
    expect_answer(
        second,
        b"GET k\n",
        value(stored),
        "recv() returns 0 when a client has closed: close too, and accept() the next one; the "
        "store is one for all",
    )


def expect_sent(server: Tcp, line: bytes) -> None:
    hint = "one request for each line of the input; QUIT at its end"
    said = server.line(expected=f"the line {line.decode()}", hint=hint)
    expect_equal(said, line, "what the client sends", hint)


@pytest.mark.points(1)
def test_the_client_sends_what_is_typed(lab: Lab, submission: Submission) -> None:
    """the client sends what is typed as KV/1, and prints the answers"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client1", "kv_client", *map(str, SERVER), ready=False)
    server = listener.accept()
    # Each with its bytes, its answer, and the line that is printed for it.
    for typed, sent, answered, printed in [
        ("put k some words", b"PUT k 10\nsome words\n", b"OK\n", "OK"),
        ("put k zażółć", "PUT k 10\nzażółć\n".encode(), b"OK\n", "OK"),
        ("get k", b"GET k\n", b"VALUE 3\nabc\n", "VALUE 3 abc"),
        ("get x", b"GET x\n", b"NOTFOUND\n", "NOTFOUND"),
        ("del k", b"DEL k\n", b"OK\n", "OK"),
        ("count", b"COUNT\n", b"COUNT 17\n", "COUNT 17"),
        ("get ?", b"GET ?\n", b"ERR no luck\n", "ERR no luck"),
    ]:
        client.write(f"{typed}\n".encode())
        hint = (
            "the table in README.md has the request for each command; the length counts bytes, "
            "and the LF behind the value is not in it"
        )
        line = server.line(expected=f"a request for `{typed}`", hint=hint) + b"\n"
        expect_equal(line, sent[: sent.index(b"\n") + 1], f"the line sent for `{typed}`", hint)
        rest = server.receive_exactly(len(sent) - len(line), expected="the value", hint=hint)
        expect_equal(line + rest, sent, f"what is sent for `{typed}`", hint)
        server.send(answered)
        client.expect_line(printed, hint=f"one line for `{typed}`, flushed; nothing else on stdout")
    client.end_input()
    expect_sent(server, b"QUIT")
    hint = "at the end of the input send QUIT, close and exit 0"
    server.expect_end(hint=hint)
    client.expect_exit(0, hint=hint)


@pytest.mark.needs("test_the_client_sends_what_is_typed")
@pytest.mark.points(1)
def test_the_client_reads_an_answer_to_its_end(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client reads an answer to its end, in however many pieces it comes"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client1", "kv_client", *map(str, SERVER), ready=False)
    server = listener.accept()
    letters = word(rng)
    whole = value(b"\n" + letters + b"\n")
    printed = f"VALUE 10 \\n{letters.decode()}\\n"
    every = range(1, len(whole))
    for cuts in (rng.sample(every, 1), rng.sample(every, 2), every):
        client.write(b"get k\n")
        expect_sent(server, b"GET k")
        kv1.send_in_pieces(lab, server, whole, cuts, to="client1")
        client.expect_line(printed, hint=f"in the client too: {STREAM}")


@pytest.mark.needs("test_the_client_sends_what_is_typed")
@pytest.mark.points(1)
@pytest.mark.parametrize("said", [b"", b"VALUE 5\nab"], ids=["no answer", "half an answer"])
def test_the_client_ends_when_the_server_has_gone(
    lab: Lab, submission: Submission, said: bytes
) -> None:
    """the client ends with an error when the server has gone"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client1", "kv_client", *map(str, SERVER), ready=False)
    server = listener.accept()
    client.write(b"get k\n")
    expect_sent(server, b"GET k")
    server.send(said)
    server.close()
    hint = "recv() returned 0 before the answer was complete: `error: recv: …` on stderr, exit 1"
    ended = client.expect_exit(1, hint=hint)
    expect(
        ended.stderr.startswith(b"error: recv:"),
        expected="a line `error: recv: …` on stderr",
        actual=ended.stderr.decode(errors="backslashreplace").strip() or "nothing on stderr",
        hint=hint,
    )
