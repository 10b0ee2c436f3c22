import pytest

from labctl.topology.impairment_limits import unsupported_on_wire, warnings_of
from labctl.topology.impairment_words import parse_impairment


def warned(words: str) -> str:
    return "\n".join(warnings_of(parse_impairment(words.split())))


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        ("loss 20% 25%", "`loss 20% 25%` loses about 10% of the packets"),
        ("loss 20% 50%", "loses about 2.9% of the packets"),
        ("loss 80% 50%", "loses about 97% of the packets"),
        ("loss 20% 100%", "every packet or none"),
        ("duplicate 20% 50%", "`duplicate 20% 50%` duplicates about 2.9%"),
        ("corrupt 20% 50%", "`corrupt 20% 50%` corrupts about 2.9%"),
        ("delay 5ms reorder 20% 50%", "`reorder 20% 50%` sends at once about 2.9%"),
        ("delay 9ms 1ms 25%", "makes neighbouring delays no more alike"),
        ("delay 9ms 1ms", "overtake each other"),
        ("delay 1ms 9ms", "a jitter of 9ms is more than the delay of 1ms"),
        ("delay 5s", "more than 200 packets a second overflow `limit 1000`"),
    ],
)
def test_surprises_are_announced(words: str, warning: str) -> None:
    assert warning in warned(words)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "loss 40%",
        "loss 100% 50%",
        "loss gemodel 1% 10%",
        "delay 100ms",
        "delay 100ms 10ms rate 1mbit",
        "delay 10ms reorder 25% gap 5",
    ],
)
def test_words_that_do_what_they_say_are_not_warned_about(words: str) -> None:
    assert warned(words) == ""


def test_the_wire_refuses_only_rates_it_cannot_reach() -> None:
    error = unsupported_on_wire(parse_impairment(["rate", "10gbit"]))
    assert error is not None
    assert error.problem == "the wire cannot carry a rate of 10gbit"
    assert "at most 400mbit" in error.hint
    everything_else = (
        "rate 400mbit -14 48 5 delay 9ms 1ms distribution pareto loss gemodel 1% 9% ecn "
        "duplicate 1% corrupt 1% reorder 5% gap 3 slot 1ms limit 9 seed 1"
    )
    assert unsupported_on_wire(parse_impairment(everything_else.split())) is None
