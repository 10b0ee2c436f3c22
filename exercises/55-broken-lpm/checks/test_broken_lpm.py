"""Checks of broken-lpm. The contract is in README.md."""

import random

import pytest

from labctl.testing import Submission, expect_equal

TABLE = """
    add 192.168.1.0/24 - eth0 0               -> ok
    add 10.0.0.0/8 192.168.1.254 eth0 50      -> ok
    add 10.1.0.0/16 192.168.1.253 eth0 70     -> ok
    add 172.16.0.0/12 192.168.1.252 eth1 5    -> ok
"""


def play(submission: Submission, script: str, hint: str) -> None:
    """Tell a fresh route_table the commands of a script, and compare: ``COMMAND -> ANSWER``."""
    program = submission.start("host", "route_table", ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-5:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)


@pytest.mark.points(1)
def test_what_worked_still_works(submission: Submission) -> None:
    """what worked before still works"""
    play(
        submission,
        f"""
        show                                      -> -
        {TABLE}
        get 192.168.1.100                         -> 192.168.1.100 eth0
        get 10.2.3.4                              -> 192.168.1.254 eth0
        get 10.1.3.4                              -> 192.168.1.253 eth0
        get 172.31.255.255                        -> 192.168.1.252 eth1
        get 172.32.0.0                            -> error: ENETUNREACH
        add 10.1.3.4/32 192.168.1.9 eth0 0        -> ok
        get 10.1.3.5                              -> 192.168.1.253 eth0
        add 10.0.0.0/33 - eth0 0                  -> error: EINVAL
        add 10.0.0.0/8 nowhere eth0 0             -> error: EINVAL
        get 10.0.0                                -> error: EINVAL
        del 11.0.0.0/8 0                          -> error: ESRCH
        """,
        "the starter passes this one: which of your changes is it?",
    )


@pytest.mark.needs("test_what_worked_still_works")
@pytest.mark.points(2)
def test_the_default_route_is_taken(submission: Submission) -> None:
    """report 1: the default route is taken where nothing else matches"""
    play(
        submission,
        f"""
        add 0.0.0.0/0 192.168.1.1 eth0 100        -> ok
        get 8.8.8.8                               -> 192.168.1.1 eth0
        get 0.0.0.0                               -> 192.168.1.1 eth0
        {TABLE}
        get 9.255.255.255                         -> 192.168.1.1 eth0
        get 10.9.9.9                              -> 192.168.1.254 eth0
        add 128.0.0.0/1 192.168.1.2 eth0 200      -> ok
        get 200.1.1.1                             -> 192.168.1.2 eth0
        get 100.1.1.1                             -> 192.168.1.1 eth0
        """,
        "there are two mistakes, each enough to hide the default route: with which mask is a route "
        "of length 0 compared, and is its length greater than that of no match at all?",
    )


@pytest.mark.needs("test_what_worked_still_works")
@pytest.mark.points(2)
def test_the_metric_decides(submission: Submission, rng: random.Random) -> None:
    """report 2: of two routes to the same network the one with the lower metric is taken"""
    # The least is not the first one in the order of their text.
    metrics = [rng.randrange(20, 100), rng.randrange(1000, 2000)]
    metrics += rng.sample(range(2000, 4_000_000_000), 3)
    rng.shuffle(metrics)
    adds = [f"add 10.2.0.0/16 10.0.0.{n} eth{n} {metric} -> ok" for n, metric in enumerate(metrics)]
    best = metrics.index(min(metrics))
    play(
        submission,
        f"""
        {TABLE}
        add 10.0.0.0/8 192.168.1.3 eth0 60        -> ok
        get 10.9.9.9                              -> 192.168.1.254 eth0
        add 172.16.0.0/12 192.168.1.4 eth0 4      -> ok
        get 172.16.9.9                            -> 192.168.1.4 eth0
        {chr(10).join(adds)}
        get 10.2.9.9                              -> 10.0.0.{best} eth{best}
        get 10.1.9.9                              -> 192.168.1.253 eth0
        """,
        "of two matches of the same length, which one does the loop keep? and is a route with a "
        "longer prefix still better, whatever its metric?",
    )


@pytest.mark.needs("test_what_worked_still_works")
@pytest.mark.points(2)
def test_a_change_counts_at_once(submission: Submission) -> None:
    """report 3: a change of the table counts at once, also for an address that was asked before"""
    play(
        submission,
        f"""
        {TABLE}
        get 10.1.9.9                              -> 192.168.1.253 eth0
        add 10.1.9.0/24 192.168.1.5 eth0 9        -> ok
        get 10.1.9.9                              -> 192.168.1.5 eth0
        get 10.1.9.9                              -> 192.168.1.5 eth0
        del 10.1.9.0/24 9                         -> ok
        get 10.1.9.9                              -> 192.168.1.253 eth0
        del 10.1.0.0/16 70                        -> ok
        get 10.1.9.9                              -> 192.168.1.254 eth0
        del 10.0.0.0/8 50                         -> ok
        get 10.1.9.9                              -> error: ENETUNREACH
        """,
        "where does an answer come from if the same address was asked before?",
    )


@pytest.mark.needs("test_a_change_counts_at_once", "test_the_metric_decides")
@pytest.mark.points(1)
def test_the_named_route_is_removed(submission: Submission) -> None:
    """report 4: del removes the route that is named, and no other"""
    play(
        submission,
        """
        add 10.0.0.0/8 192.168.1.1 eth0 10        -> ok
        add 10.0.0.0/8 192.168.1.2 eth0 20        -> ok
        add 10.0.0.0/8 192.168.1.3 eth0 30        -> ok
        del 10.0.0.0/8 20                         -> ok
        del 10.0.0.0/8 20                         -> error: ESRCH
        get 10.1.1.1                              -> 192.168.1.1 eth0
        del 10.0.0.0/8 10                         -> ok
        get 10.1.1.1                              -> 192.168.1.3 eth0
        del 10.0.0.0/8 30                         -> ok
        get 10.1.1.1                              -> error: ENETUNREACH
        """,
        "a route is named by its prefix and its metric: what does del compare?",
    )


@pytest.mark.needs("test_what_worked_still_works")
@pytest.mark.points(1)
def test_a_prefix_that_never_matches_is_refused(submission: Submission) -> None:
    """report 5: a prefix that could never match is refused"""
    play(
        submission,
        """
        add 192.168.1.7/24 - eth0 0               -> error: EINVAL
        add 10.1.0.0/8 - eth0 0                   -> error: EINVAL
        add 10.0.0.1/31 - eth0 0                  -> error: EINVAL
        add 10.0.0.1/32 - eth0 0                  -> ok
        get 192.168.1.9                           -> error: ENETUNREACH
        get 10.0.0.1                              -> 10.0.0.1 eth0
        """,
        "an address cut by the mask has no bits behind it; a network that has some is never equal",
    )


@pytest.mark.needs("test_what_worked_still_works")
@pytest.mark.points(1)
def test_show_prints_what_was_added(submission: Submission) -> None:
    """report 6: show prints the routes as they were added"""
    play(
        submission,
        """
        add 172.16.0.0/12 192.168.1.252 eth1 5    -> ok
        add 10.0.0.0/8 192.168.1.254 eth0 70      -> ok
        add 10.0.0.0/8 192.168.1.253 eth0 9       -> ok
        add 10.0.0.0/16 - eth2 0                  -> ok
        show -> 10.0.0.0/8 192.168.1.253 eth0 9; 10.0.0.0/8 192.168.1.254 eth0 70; \
10.0.0.0/16 - eth2 0; 172.16.0.0/12 192.168.1.252 eth1 5
        add 9.0.0.0/8 - eth3 0                    -> ok
        add 10.1.0.0/16 - eth4 0                  -> ok
        show -> 9.0.0.0/8 - eth3 0; 10.0.0.0/8 192.168.1.253 eth0 9; \
10.0.0.0/8 192.168.1.254 eth0 70; 10.0.0.0/16 - eth2 0; 10.1.0.0/16 - eth4 0; \
172.16.0.0/12 192.168.1.252 eth1 5
        """,
        "the bytes are turned round: in which order does struct.pack write them, and in which did "
        "struct.unpack read them?",
    )
