import pytest

from tests.topology.lab_files import errors_of, only_error, topology_of, two_hosts


def impairs(text: str) -> tuple[str, str]:
    """Return what the two ends of a link between client and server do to what they send."""
    [link] = topology_of(two_hosts(f"impair: {text}")).links
    return link.left.impair, link.right.impair


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("delay 20ms loss 1%", ("delay 20ms loss 1%",) * 2),
        ("loss 1% delay 0.02s", ("delay 20ms loss 1%",) * 2),
        ("{client: loss 1%, server: delay 5ms}", ("loss 1%", "delay 5ms")),
        ("{server: delay 5ms}", ("", "delay 5ms")),
        ('{"client:eth0": loss 1%}', ("loss 1%", "")),
        ("loss 0%", ("", "")),
    ],
)
def test_the_words_reach_the_end_that_sends(written: str, understood: tuple[str, str]) -> None:
    assert impairs(written) == understood


def test_a_link_without_the_word_is_good() -> None:
    [link] = topology_of(two_hosts()).links
    assert (link.left.impair, link.right.impair) == ("", "")


def test_interfaces_tell_parallel_links_apart() -> None:
    text = (
        "name: lab\nnodes: [a, b]\nlinks:\n"
        "  - {endpoints: [a, b], impair: {a: loss 1%}}\n"
        "  - {endpoints: [a, b], impair: {'b:eth1': loss 2%}}\n"
    )
    first, second = topology_of(text).links
    assert (first.left.impair, first.right.impair) == ("loss 1%", "")
    assert (second.left.impair, second.right.impair) == ("", "loss 2%")


@pytest.mark.parametrize(
    ("written", "said", "hint"),
    [
        ("losss 1%", 'unknown word "losss"', 'did you mean "loss"?'),
        ("{sever: loss 1%}", 'the link has no end "sever"', 'did you mean "server"?'),
        ("{x: loss 1%}", 'the link has no end "x"', "its ends are client, server"),
        (
            '{client: loss 1%, "client:eth0": loss 2%}',
            '"client:eth0" is the same end of the link as "client"',
            "join the two",
        ),
        ("", "`impair` of link 1 has no value", ""),
        ("[loss]", "`impair` of link 1 must be words such as", ""),
        ("{client: [loss]}", "`impair` of link 1 must be words such as", ""),
        ("{}", "`impair` of link 1 must be words such as", ""),
    ],
)
def test_what_is_wrong_is_said_at_its_line(written: str, said: str, hint: str) -> None:
    error = only_error(two_hosts(f"impair: {written}"))
    assert str(error).startswith("lab.yaml:5: ")
    assert said in error.problem
    assert hint in error.hint


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = (
        "name: lab\nnodes: [a, b, c]\nlinks:\n"
        "  - endpoints: [a, b]\n"
        "    impair:\n"
        "      a: loss 101%\n"
        "      d: delay 1parsec\n"
        "  - {endpoints: [b, c], impair: reorder 5%, mtu: 3}\n"
    )
    assert [error.where for error in errors_of(text)] == [
        "lab.yaml:6",
        "lab.yaml:7",
        "lab.yaml:7",
        "lab.yaml:8",
        "lab.yaml:8",
    ]
