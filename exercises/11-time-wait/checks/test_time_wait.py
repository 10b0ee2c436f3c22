"""Checks of time-wait. The contract is in README.md."""

import random

import pytest
from clients import (
    PLAIN,
    PORT,
    SERVER,
    expect_end,
    expect_only_listening,
    expect_served,
    expect_state,
    killed_with_client,
    let_it_be_received,
    restarted,
    started,
    still,
)

from labctl.testing import Lab, Submission, expect


@pytest.mark.points(1)
def test_one_client_after_the_other(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """each client is received to its end, one after the other"""
    program = started(submission)
    client = lab["client1"].connect(SERVER)
    counts = [rng.randrange(1, 1000) for _ in range(3)]
    for count in counts:
        client.send(rng.randbytes(count), hint="stay until the client has closed")
        let_it_be_received(lab, client)
    client.finish()
    expect_end(program, client, sum(counts))
    for node in ("client2", "client1"):
        expect_served(lab, program, rng, node)


@pytest.mark.needs("test_one_client_after_the_other")
@pytest.mark.points(2)
def test_the_client_keeps_time_wait(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the client closes first, so TIME-WAIT is on its side, and nothing stays at the server"""
    program = started(submission)
    client = expect_served(lab, program, rng, "client1")
    hint = (
        "who sends the first FIN gets TIME-WAIT: no close(), no shutdown() before recv() says end"
    )
    expect_state(lab, "client1", client, "TIME-WAIT", hint)
    expect_only_listening(lab, hint)


@pytest.mark.needs("test_one_client_after_the_other")
@pytest.mark.points(2)
@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.1.1"])
def test_a_second_live_server_is_refused(
    lab: Lab, submission: Submission, rng: random.Random, address: str
) -> None:
    """a second server beside a live one is refused, and the first one keeps all clients"""
    first = started(submission)
    second = submission.start("server", "sink_server", address, str(PORT), ready=False)
    hint = (
        "EADDRINUSE is right where a live server has the port: tell it, and exit 1; SO_REUSEPORT "
        "would let the second one take clients from the first"
    )
    ended = second.expect_exit(1, hint=hint)
    said = ended.stderr.decode(errors="backslashreplace").splitlines()
    expect(
        any(line.startswith(("error: bind: EADDRINUSE", "error: listen: EADDR")) for line in said),
        expected="a line `error: bind: EADDRINUSE (…)` on stderr",
        actual=f"the last line is: {said[-1]}" if said else "nothing on stderr",
        hint=hint,
    )
    for node in ("client1", "client2") * 2:
        expect_served(lab, first, rng, node)


@pytest.mark.needs("test_one_client_after_the_other")
@pytest.mark.points(2.5)
def test_it_restarts_beside_fin_wait_2(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it is killed and serves again at once, beside a connection that its client has not closed"""
    client = killed_with_client(lab, started(submission))
    again = restarted(submission)
    still(lab, client, "FIN-WAIT-2")
    expect_served(lab, again, rng, "client1")


@pytest.mark.needs("test_one_client_after_the_other")
@pytest.mark.points(2.5)
def test_it_restarts_beside_time_wait(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it is killed and serves again at once, beside a connection in TIME-WAIT"""
    client = killed_with_client(lab, started(submission))
    client.finish()
    expect_state(lab, "server", client, "TIME-WAIT", PLAIN)
    again = restarted(submission)
    still(lab, client, "TIME-WAIT")
    expect_served(lab, again, rng, "client1")
