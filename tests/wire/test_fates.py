import json

import pytest

from labctl.topology.rules import Rule
from labctl.wire.fates import FateEntry, FateLog, parse_fates
from labctl.wire.match import compile_filters
from labctl.wire.rules import Fate, RuleSet
from tests.packets.frames import udp

FATE = Fate(2_500_000_000, 1, "drop: {packets: [3]}", 3, "dropped", "", udp(b"hello"))


def log_of(*fates: Fate, most: int = 100) -> str:
    lines: list[str] = []
    log = FateLog(lines.append, epoch_ns=1_000_000_000_000_000_000, most=most).of(
        "client--server", "client->server"
    )
    for fate in fates:
        log(fate)
    return "".join(lines)


def test_a_fate_is_one_line_of_json() -> None:
    assert json.loads(log_of(FATE)) == {
        "time": 1_000_000_002.5,
        "link": "client--server",
        "direction": "client->server",
        "rule": 1,
        "text": "drop: {packets: [3]}",
        "count": 3,
        "done": "dropped",
        "detail": "",
        "packet": "10.0.2.2:4000 > 10.0.1.1:8080 UDP 5 bytes",
    }


def test_a_log_reads_back() -> None:
    assert parse_fates(log_of(FATE, FATE._replace(nth=4))) == (
        [
            FateEntry(
                1_000_000_002.5,
                "client--server",
                "client->server",
                1,
                "drop: {packets: [3]}",
                nth,
                "dropped",
                "",
                "10.0.2.2:4000 > 10.0.1.1:8080 UDP 5 bytes",
            )
            for nth in (3, 4)
        ],
        True,
    )
    assert parse_fates("") == ([], True)


def test_a_line_that_is_being_written_is_left_out() -> None:
    text = log_of(FATE, FATE)

    assert len(parse_fates(text[:-1])[0]) == 1


def test_a_full_log_says_so_once() -> None:
    text = log_of(FATE, FATE, FATE, FATE, most=2)
    entries, is_complete = parse_fates(text)

    assert text.count("\n") == 3
    assert (len(entries), is_complete) == (2, False)


@pytest.mark.parametrize("text", ["nonsense\n", "[1]\n", "3\n", '{"time": 3}\n', "\n"])
def test_what_is_no_fate_log_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fate log|Expecting value"):
        parse_fates(text)


def test_the_log_proves_that_the_fault_happened() -> None:
    lines: list[str] = []
    rule = Rule("drop", "udp", ((2, 2),))
    rules = RuleSet(
        [rule],
        compile_filters([rule]),
        seed=0,
        direction="client->server",
        log=FateLog(lines.append, epoch_ns=0).of("link", "client->server"),
    )
    for payload in (b"1", b"22", b"333"):
        rules.offer(udp(payload), 0)

    [entry], _ = parse_fates("".join(lines))
    assert (entry.nth, entry.done) == (2, "dropped")
    assert entry.packet.endswith("UDP 2 bytes")
