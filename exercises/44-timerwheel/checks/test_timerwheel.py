"""Checks of timerwheel. The contract is in README.md."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from labctl.testing import Program, Submission, expect, expect_equal

FEW = 20
MANY = 20_000
MOST_TIMES = 8


def play(submission: Submission, script: str, hint: str, *, tick_ms: int = 1) -> None:
    """Tell a fresh timerwheel the commands of a script, and compare: ``COMMAND -> ANSWER``."""
    program = submission.start("host", "timerwheel", str(tick_ms), ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-5:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)


def tell(program: Program, commands: list[str], hint: str) -> list[str]:
    """Return the answers to many commands, which are sent without waiting for each."""
    answers = []
    for start in range(0, len(commands), 500):
        some = commands[start : start + 500]
        program.write("".join(f"{command}\n" for command in some).encode(), hint=hint)
        answers += [program.line(expected=f'an answer to "{each}"', hint=hint) for each in some]
    return answers


@pytest.mark.points(2)
def test_a_timer_is_never_early(submission: Submission) -> None:
    """a timer expires in time: never early, and less than a tick late"""
    play(
        submission,
        """
        advance 5       -> -
        add a 10        -> expires=15 level=0 slot=15
        advance 9       -> -
        advance 1       -> a@15
        advance 300     -> -
        add a 0         -> expires=316 level=0 slot=60
        advance 1       -> a@316
        add a 255       -> expires=571 level=0 slot=59
        advance 254     -> -
        advance 1       -> a@571
        """,
        "the slot is that of the tick at which it expires, modulo 256; 0 ms is the next tick",
    )
    play(
        submission,
        """
        add a 200       -> expires=200 level=0 slot=20
        add b 201       -> expires=210 level=0 slot=21
        advance 9       -> -
        add d 1         -> expires=10 level=0 slot=1
        add e 2         -> expires=20 level=0 slot=2
        advance 1       -> d@10
        advance 9       -> -
        advance 1       -> e@20
        advance 179     -> -
        advance 1       -> a@200
        advance 15      -> b@210
        """,
        "time goes in milliseconds, the wheel in ticks: round up from where the time is, not from "
        "where the wheel is; and do not divide by a number that is no tick",
        tick_ms=10,
    )


@pytest.mark.needs("test_a_timer_is_never_early")
@pytest.mark.points(1)
def test_a_timer_is_cancelled(submission: Submission) -> None:
    """a timer that is cancelled does not expire, and its name is free again"""
    play(
        submission,
        """
        add a 10        -> expires=10 level=0 slot=10
        add b 10        -> expires=10 level=0 slot=10
        add c 100       -> expires=100 level=0 slot=100
        add a 20        -> error: EEXIST
        cancel a        -> ok
        cancel a        -> error: ENOENT
        where a         -> error: ENOENT
        cancel c        -> ok
        add a 20        -> expires=20 level=0 slot=20
        stats           -> pending=2 cascaded=0
        advance 200     -> b@10 a@20
        cancel b        -> error: ENOENT
        add b 5         -> expires=205 level=0 slot=205
        stats           -> pending=1 cascaded=0
        """,
        "take it out of its slot, and forget its name; an expired one is gone as well",
    )


@pytest.mark.needs("test_a_timer_is_never_early")
@pytest.mark.points(1)
def test_what_makes_no_sense_is_refused(submission: Submission) -> None:
    """what makes no sense is refused, and changes nothing"""
    play(
        submission,
        """
        add a x         -> error: EINVAL
        add a -1        -> error: EINVAL
        nonsense        -> error: EINVAL
        advance x       -> error: EINVAL
        add a 10        -> expires=10 level=0 slot=10
        advance 10      -> a@10
        """,
        "answer `error: EINVAL`, and read on; a number is digits only",
    )


@pytest.mark.needs("test_a_timer_is_never_early")
@pytest.mark.points(2)
def test_far_timers_come_down(submission: Submission) -> None:
    """a timer that is far away waits in a slower wheel, and comes down from there"""
    play(
        submission,
        """
        add a 256       -> expires=256 level=1 slot=1
        add b 16383     -> expires=16383 level=1 slot=63
        add c 16384     -> expires=16384 level=2 slot=1
        add d 1048576   -> expires=1048576 level=3 slot=1
        add e 67108863  -> expires=67108863 level=3 slot=63
        add f 67108864  -> error: ERANGE
        advance 255     -> -
        where a         -> expires=256 level=1 slot=1
        add h 300       -> expires=555 level=1 slot=2
        advance 1       -> a@256
        stats           -> pending=5 cascaded=1
        advance 15872   -> h@555
        where b         -> expires=16383 level=0 slot=255
        advance 254     -> -
        advance 1       -> b@16383
        where c         -> expires=16384 level=2 slot=1
        advance 1       -> c@16384
        stats           -> pending=2 cascaded=4
        add g 16400     -> expires=32784 level=2 slot=2
        advance 16384   -> -
        where g         -> expires=32784 level=0 slot=16
        advance 1015807 -> g@32784
        where d         -> expires=1048576 level=3 slot=1
        advance 1       -> d@1048576
        """,
        "the level is by how far away it is: 2**8, 2**14, 2**20, 2**26 ticks; the slot is by the bits of "
        "the tick itself; when all bits below a level are 0, its next slot comes down",
    )
    play(
        submission,
        """
        add a 17000     -> expires=17000 level=2 slot=1
        advance 16384   -> -
        where a         -> expires=17000 level=1 slot=2
        advance 616     -> a@17000
        stats           -> pending=0 cascaded=2
        """,
        "each timer counts each time that it is placed anew, on whatever level it is then",
    )


@pytest.mark.needs("test_far_timers_come_down")
@pytest.mark.points(1)
def test_timers_expire_in_order(submission: Submission) -> None:
    """timers expire in the order of their time, and those of one tick as they were added"""
    play(
        submission,
        """
        add late 30     -> expires=30 level=0 slot=30
        add soon 10     -> expires=10 level=0 slot=10
        add same 30     -> expires=30 level=0 slot=30
        advance 100     -> soon@10 late@30 same@30
        add first 300   -> expires=400 level=1 slot=1
        advance 100     -> -
        add second 200  -> expires=400 level=0 slot=144
        advance 199     -> -
        advance 1       -> first@400 second@400
        """,
        "`first` comes down from level 1 when `second` is in the slot already: remember who was first",
    )


@pytest.mark.needs("test_far_timers_come_down")
@pytest.mark.points(1)
def test_the_timers_of_tcp(submission: Submission) -> None:
    """the timers of TCP, from 200 ms to two hours, expire when they should"""
    play(
        submission,
        """
        add delayed-ack 40     -> expires=40 level=0 slot=4
        add rto 200            -> expires=200 level=0 slot=20
        add time-wait 240000   -> expires=240000 level=2 slot=1
        add keepalive 7200000  -> expires=7200000 level=2 slot=43
        advance 40             -> delayed-ack@40
        advance 159            -> -
        cancel rto             -> ok
        add rto 400            -> expires=600 level=0 slot=60
        advance 239800         -> rto@600
        advance 1              -> time-wait@240000
        cancel keepalive       -> ok
        add keepalive 7200000  -> expires=7440000 level=2 slot=45
        advance 7199999        -> -
        advance 1              -> keepalive@7440000
        """,
        "ticks of 10 ms; a timer that is set again is cancelled and added",
        tick_ms=10,
    )


@pytest.mark.needs("test_timers_expire_in_order", "test_a_timer_is_cancelled")
@pytest.mark.points(1)
def test_whatever_the_order(submission: Submission, rng: random.Random) -> None:
    """it expires what a plain list would, whatever is added, cancelled and waited for"""
    tick_ms = rng.choice([1, 4, 10])
    program = submission.start("host", "timerwheel", str(tick_ms), ready=False)
    now_ms = 0
    pending: dict[str, int] = {}  # in the order of adding
    commands: list[str] = []
    wanted: list[str | None] = []
    for number in range(400):
        match rng.randrange(4):
            case 0 | 1:
                after_ms = rng.randrange(10 ** rng.randrange(1, 6))
                ticks = max(-((now_ms + after_ms) // -tick_ms), now_ms // tick_ms + 1)
                pending[f"t{number}"] = ticks * tick_ms
                commands.append(f"add t{number} {after_ms}")
                wanted.append(None)
            case 2 if pending:
                name = rng.choice(list(pending))
                del pending[name]
                commands.append(f"cancel {name}")
                wanted.append("ok")
            case _:
                ms = rng.randrange(10 ** rng.randrange(1, 5))
                now_ms += ms
                due = [name for name in pending if pending[name] <= now_ms]
                due.sort(key=lambda name: pending[name])
                commands.append(f"advance {ms}")
                wanted.append(" ".join(f"{name}@{pending.pop(name)}" for name in due) or "-")
    hint = "look at the time in the answer: is a timer early, late by a turn of a wheel, or lost?"
    for command, answer, right in zip(commands, tell(program, commands, hint), wanted, strict=True):
        if right is not None:
            expect_equal(answer, right, f'the answer to "{command}"', hint)


def cpu_seconds_for(
    program: Program, commands: Callable[[int], list[str]], hint: str, *, enough_s: float = 0.0
) -> float:
    """Return the time on a CPU that a turn of commands takes, at best of ten, or the first below enough.

    Others on the machine can only make it longer: they take the caches.
    """
    best = float("inf")
    for turn in range(10):
        some = commands(turn)
        before = program.cpu_seconds()
        tell(program, some, hint)
        best = min(best, program.cpu_seconds() - before)
        if best < enough_s:
            break
    return best


@pytest.mark.needs("test_a_timer_is_cancelled")
@pytest.mark.points(2)
@pytest.mark.parametrize("what", ["time passes", "timers are cancelled"])
def test_many_timers_do_not_slow_it_down(submission: Submission, what: str) -> None:
    """with twenty thousand timers it is about as fast as with twenty"""
    if what == "time passes":
        hint = "look into the slot of the tick, not at every timer"

        def commands(name: str, count: int, turn: int) -> list[str]:
            return ["advance 1"] * 200

    else:
        hint = (
            "take a timer out of its slot without looking for it: a list that is linked both ways, or "
            "a dict"
        )

        def commands(name: str, count: int, turn: int) -> list[str]:
            # The newest of the slot, and the oldest, which is the newest then.
            some = []
            for number in range(100 * turn, 100 * turn + 100):
                old = f"{name}{number % count}"
                some += ["add new 10000", "cancel new", f"cancel {old}", f"add {old} 10000"]
            return some

    program = submission.start("host", "timerwheel", "1", ready=False)
    # All in the slot in which those that are added and cancelled will be.
    tell(program, [f"add few{number} 10000" for number in range(FEW)], hint)
    with_few_s = cpu_seconds_for(program, partial(commands, "few", FEW), hint)
    tell(program, [f"add many{number} 10000" for number in range(MANY)], hint)
    with_many_s = cpu_seconds_for(
        program, partial(commands, "many", MANY), hint, enough_s=MOST_TIMES * with_few_s
    )

    times = with_many_s / with_few_s
    expect(
        times < MOST_TIMES,
        expected=f"with {MANY} timers it takes about as long as with {FEW} when {what}",
        actual=f"it takes {times:.0f} times as long",
        hint=hint,
    )
