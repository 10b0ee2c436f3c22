"""Checks of lpm. The contract is in README.md."""

import random

import pytest
from route_talk import answers_to, kernel_answers, play, random_commands, seconds_for

from labctl.testing import Lab, Submission, expect, expect_equal

MANY = 20_000
LOOKUPS = 400
MOST_TIMES = 8


@pytest.mark.points(3)
def test_the_longest_prefix_wins(submission: Submission, rng: random.Random) -> None:
    """the longest prefix that matches wins, in whatever order the routes came"""
    routes = [
        "add 10.0.0.0/8 0 wide -> ok",
        "add 10.1.0.0/16 9 middle -> ok",
        "add 10.1.2.0/24 5 narrow -> ok",
        "add 10.1.2.128/25 7 half -> ok",
        "add 192.168.4.0/22 1 other -> ok",
    ]
    rng.shuffle(routes)
    # Of two that match, the longer one is the first in one of the two orders, and the last in the
    # other.
    for order in (routes, routes[::-1]):
        script = [
            "get 10.1.2.3 -> error: ENETUNREACH",
            *order,
            "get 10.1.2.3 -> 10.1.2.0/24 5 narrow",
            "get 10.1.2.127 -> 10.1.2.0/24 5 narrow",
            "get 10.1.2.128 -> 10.1.2.128/25 7 half",
            "get 10.1.3.0 -> 10.1.0.0/16 9 middle",
            "get 10.10.2.3 -> 10.0.0.0/8 0 wide",
            "get 10.0.0.0 -> 10.0.0.0/8 0 wide",
            "get 10.255.255.255 -> 10.0.0.0/8 0 wide",
            "get 192.168.7.255 -> 192.168.4.0/22 1 other",
            "get 192.168.8.0 -> error: ENETUNREACH",
            "get 192.168.3.255 -> error: ENETUNREACH",
            "get 11.0.0.0 -> error: ENETUNREACH",
            "get 3.2.1.10 -> error: ENETUNREACH",
        ]
        play(
            submission,
            "\n".join(script),
            "a route matches if the address, cut by the route's mask, is the route's network; "
            "of those that match take the one with the most bits",
        )


@pytest.mark.needs("test_the_longest_prefix_wins")
@pytest.mark.points(1)
def test_from_no_bit_to_all(submission: Submission) -> None:
    """a prefix may have any length: 0 matches every address, 32 a single one"""
    play(
        submission,
        """
        add 0.0.0.0/0 100 gateway -> ok
        get 8.8.8.8               -> 0.0.0.0/0 100 gateway
        get 0.0.0.0               -> 0.0.0.0/0 100 gateway
        get 255.255.255.255       -> 0.0.0.0/0 100 gateway
        add 128.0.0.0/1 0 upper   -> ok
        get 127.255.255.255       -> 0.0.0.0/0 100 gateway
        get 128.0.0.0             -> 128.0.0.0/1 0 upper
        add 200.1.2.4/31 0 two    -> ok
        add 200.1.2.4/32 0 one    -> ok
        get 200.1.2.4             -> 200.1.2.4/32 0 one
        get 200.1.2.5             -> 200.1.2.4/31 0 two
        get 200.1.2.6             -> 128.0.0.0/1 0 upper
        """,
        "the mask of /0 has no bits: everything matches, though worse than any other route; "
        "in C, 0xffffffff << 32 is not 0",
    )


@pytest.mark.needs("test_the_longest_prefix_wins")
@pytest.mark.points(2)
def test_the_lowest_metric_wins(submission: Submission) -> None:
    """of routes to the same network the one with the lowest metric wins"""
    play(
        submission,
        """
        add 10.0.0.0/8 50 second     -> ok
        add 10.0.0.0/8 100 third     -> ok
        add 10.0.0.0/8 9 first       -> ok
        get 10.1.1.1                 -> 10.0.0.0/8 9 first
        add 10.0.0.0/8 4294967295 z  -> ok
        get 10.1.1.1                 -> 10.0.0.0/8 9 first
        add 10.1.0.0/16 4000 far     -> ok
        get 10.1.1.1                 -> 10.1.0.0/16 4000 far
        """,
        "metrics are compared only between routes of the same prefix, and as numbers: 9 is below 50",
    )


@pytest.mark.needs("test_the_lowest_metric_wins")
@pytest.mark.points(1)
def test_a_route_is_removed(submission: Submission) -> None:
    """a route that is removed leaves the others as they were"""
    play(
        submission,
        """
        add 8.0.0.0/5 1 outer        -> ok
        add 10.0.0.0/8 50 second     -> ok
        add 10.0.0.0/8 9 first       -> ok
        add 10.0.0.0/8 70 third      -> ok
        add 10.1.0.0/16 0 inner      -> ok
        del 10.0.0.0/8 0             -> error: ESRCH
        del 10.0.0.0/8 50            -> ok
        get 10.9.9.9                 -> 10.0.0.0/8 9 first
        del 10.0.0.0/8               -> ok
        get 10.9.9.9                 -> 10.0.0.0/8 70 third
        get 10.1.9.9                 -> 10.1.0.0/16 0 inner
        del 10.0.0.0/8               -> ok
        get 10.9.9.9                 -> 8.0.0.0/5 1 outer
        get 10.1.9.9                 -> 10.1.0.0/16 0 inner
        del 10.1.0.0/16 0            -> ok
        get 10.1.9.9                 -> 8.0.0.0/5 1 outer
        del 8.0.0.0/5                -> ok
        get 10.1.9.9                 -> error: ENETUNREACH
        """,
        "without a metric the best of that prefix goes; when the last has gone, the prefix has",
    )


@pytest.mark.needs("test_a_route_is_removed")
@pytest.mark.points(1)
def test_what_makes_no_sense_is_refused(submission: Submission) -> None:
    """what makes no sense is refused, and changes nothing"""
    play(
        submission,
        """
        add 10.0.0.0/8 5 first       -> ok
        add 10.0.0.0/8 5 again       -> error: EEXIST
        get 10.1.1.1                 -> 10.0.0.0/8 5 first
        add 10.1.2.3/24 0 bits       -> error: EINVAL
        add 10.1.2.0/33 0 long       -> error: EINVAL
        add 10.1.2.0/-1 0 negative   -> error: EINVAL
        add 10.1.2.0 0 no-length     -> error: EINVAL
        add 10.1.2/24 0 short        -> error: EINVAL
        add 10.1.2.0/24 4294967296 x -> error: EINVAL
        get 10.1.2.3                 -> 10.0.0.0/8 5 first
        add 10.1.2.0/ 0 no-number    -> error: EINVAL
        add 10.1.2.0/24x 0 letter    -> error: EINVAL
        add 10.1.2.0/24 abc word     -> error: EINVAL
        del 10.1.2.3/24              -> error: EINVAL
        nonsense                     -> error: EINVAL
        get 10.1.2.3                 -> 10.0.0.0/8 5 first
        get 10.1.2.256               -> error: EINVAL
        get 10.1.2                   -> error: EINVAL
        del 10.0.0.0/8 6             -> error: ESRCH
        del 10.0.0.0/9               -> error: ESRCH
        get 10.1.1.1                 -> 10.0.0.0/8 5 first
        """,
        "a prefix with bits behind its mask would never match, so it is a mistake of who wrote it",
    )


@pytest.mark.needs("test_what_makes_no_sense_is_refused", "test_from_no_bit_to_all")
@pytest.mark.points(1)
def test_the_kernel_finds_the_same(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it finds what the kernel finds with the same routes"""
    commands = random_commands(rng)
    wanted = kernel_answers(lab["host"], commands)
    program = submission.start("host", "lpm", ready=False)
    hint = "try it with `ip route add`, `ip route del` and `ip route get fibmatch` in the lab"
    answers = answers_to(program, commands, hint)
    for at, (command, answer, right) in enumerate(zip(commands, answers, wanted, strict=True)):
        expect_equal(answer, right, f'the answer to command {at + 1}, "{command}"', hint)


@pytest.mark.needs("test_the_longest_prefix_wins")
@pytest.mark.points(1)
def test_many_routes_do_not_slow_it_down(submission: Submission, rng: random.Random) -> None:
    """it finds a route among twenty thousand about as fast as among twenty"""
    networks = [f"10.{n >> 8}.{n & 255}" for n in rng.sample(range(1 << 16), MANY)]
    few, rest = networks[:20], networks[20:]
    program = submission.start("host", "lpm", ready=False)
    hint = (
        "do not look at every route: a table (dict, hash) for each length of prefix takes at most "
        "33 looks, a binary tree over the bits 32 steps"
    )

    def add(some: list[str]) -> None:
        answers = answers_to(program, [f"add {each}.0/24 0 hop" for each in some], hint)
        expect_equal(set(answers), {"ok"}, "the answers to add", hint)

    def ask(some: list[str], enough_s: float = 0.0) -> float:
        asked = [rng.choice(some) for _ in range(LOOKUPS)]
        commands = [f"get {each}.77" for each in asked]
        wanted = [f"{each}.0/24 0 hop" for each in asked]
        return seconds_for(program, commands, wanted, hint, enough_s=enough_s)

    add(few)
    with_few_s = ask(few)
    add(rest)
    with_many_s = ask(rest, MOST_TIMES * with_few_s)

    times = with_many_s / with_few_s
    expect(
        times < MOST_TIMES,
        expected=f"with {MANY} routes a lookup takes about as long as with 20",
        actual=f"it takes {times:.0f} times as long",
        hint=hint,
    )
