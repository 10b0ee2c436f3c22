"""Faults from Python: armed for a while, and proven or known not to have happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError, LabErrors
from labctl.faults import faults
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.wired_lab import A4, B4, WiredLab, wired_lab

pytestmark = pytest.mark.kernel

DROP_THE_SECOND = {"a->b": [{"drop": {"match": "udp", "packets": [2]}}]}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


class Talk:
    """Numbered datagrams from a to b."""

    def __init__(self, lab: WiredLab) -> None:
        lab.ping()
        self._sender, self._receiver = lab.udp(A4, B4)

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self._sender.send(bytes([number]))

    def hear(self, how_many: int) -> list[int]:
        return [self._receiver.recv(100)[0] for _ in range(how_many)]


def test_a_fault_that_happened_is_proven_and_told(lab: WiredLab) -> None:
    talk = Talk(lab)
    with faults(lab.lab, {"seed": 7, **DROP_THE_SECOND}) as armed:
        talk.say(1, 2, 3)
        assert talk.hear(2) == [1, 3]
        armed.prove()
        [rule] = armed.rules()
    assert (rule.direction, rule.number) == ("a:eth0->b:eth0", 1)
    assert (rule.matched, rule.fired, rule.completed) == (3, 1, 1)
    [fate] = armed.fates()
    assert (fate.nth, fate.done) == (2, "dropped")
    assert armed.seed == 7


def test_a_fault_that_did_not_happen_is_the_labs_fault(lab: WiredLab) -> None:
    talk = Talk(lab)
    with faults(lab.lab, DROP_THE_SECOND) as armed:
        talk.say(1)
        assert talk.hear(1) == [1]
        with pytest.raises(LabError) as raised:
            armed.prove(within_s=0.0)
    assert raised.value.exit_code == 3
    assert "matched 1 packets, fired 0 times" in raised.value.problem
    assert raised.value.where == "a:eth0->b:eth0"
    assert armed.fates() == []


def test_what_began_and_did_not_end_is_not_proven(lab: WiredLab) -> None:
    talk = Talk(lab)
    hold = {"a->b": [{"hold": {"match": "udp", "until": {"match": "icmp"}}}]}
    with faults(lab.lab, hold) as armed:
        talk.say(1)
        assert until(lambda: armed.rules()[0].fired, LIMIT_S)
        with pytest.raises(LabError, match="fired 1 times and completed 0 times"):
            armed.prove(within_s=0.0)
    assert talk.hear(1) == [1]


def test_afterwards_the_link_is_good_and_what_became_of_the_rules_is_known(lab: WiredLab) -> None:
    talk = Talk(lab)
    with faults(lab.lab, {"a->b": [{"drop": {"match": "udp"}}]}) as armed:
        talk.say(1)
        armed.prove()
    talk.say(2)
    assert talk.hear(1) == [2]
    [rule] = armed.rules()
    assert (rule.fired, rule.completed) == (1, 1)


def test_words_stay_and_rules_from_before_are_armed_again(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")
    lab.arm("a->b", {"drop": {"match": "udp", "packets": [1]}}, seed=5)
    talk = Talk(lab)
    talk.say(1, 2)
    assert talk.hear(1) == [2]
    with faults(lab.lab, {"a->b": [{"duplicate": {"match": "udp"}}]}) as armed:
        talk.say(3)
        assert talk.hear(2) == [3, 3]
        assert lab.shown("a")["words"] == ["delay", "1ms"]
    talk.say(4, 5)
    assert talk.hear(1) == [5]
    assert lab.shown("a")["words"] == ["delay", "1ms"]
    assert [fate.done for fate in armed.fates()] == ["duplicated"]


def test_words_alone_stay_too(lab: WiredLab) -> None:
    lab.impair("a", "delay 1ms")
    with faults(lab.lab, DROP_THE_SECOND):
        pass
    shown = lab.shown("a")
    assert (shown["words"], shown["rules"]) == (["delay", "1ms"], [])


def test_wrong_rules_are_refused_with_nothing_armed(lab: WiredLab) -> None:
    wrong: list[dict[str, object]] = [
        {"a->b": [{"drop": {"match": "udp port"}}, {"drop": {"match": "no such"}}]},
        {"a->x": [{"drop": {}}]},
        {"a->b": [{"lose": {}}]},
    ]
    for written in wrong:
        with pytest.raises(LabErrors) as raised, faults(lab.lab, written, where="test_lossy"):
            pytest.fail("the rules were armed")
        assert {error.where for error in raised.value.problems} == {"test_lossy"}
    assert not lab.control.programs()


def test_when_the_emulator_has_died_nothing_is_proven(lab: WiredLab) -> None:
    with pytest.raises(LabError, match="has died") as raised, faults(lab.lab, DROP_THE_SECOND):
        lab.kill_emulator()
    assert raised.value.exit_code == 3


def test_a_failing_check_takes_its_faults_along(lab: WiredLab) -> None:
    talk = Talk(lab)
    with (
        pytest.raises(ZeroDivisionError),
        faults(lab.lab, {"a->b": [{"drop": {"match": "udp"}}]}),
    ):
        raise ZeroDivisionError
    talk.say(1)
    assert talk.hear(1) == [1]


def test_several_directions_are_told_apart(lab: WiredLab) -> None:
    lab.ping()
    there, back = lab.udp(A4, B4)
    both = {
        "a->b": [{"drop": {"match": "udp", "packets": [1]}}],
        "b->a": [{"drop": {"match": "udp", "packets": [2]}}],
    }
    with faults(lab.lab, both) as armed:
        there.send(b"1")
        there.send(b"2")
        data, sender = back.recvfrom(100)
        assert data == b"2"
        for answer in (b"3", b"4", b"5"):
            back.sendto(answer, sender)
        assert (there.recv(100), there.recv(100)) == (b"3", b"5")
        armed.prove()
    assert sorted((fate.direction, fate.nth) for fate in armed.fates()) == [
        ("a:eth0->b:eth0", 1),
        ("b:eth0->a:eth0", 2),
    ]
