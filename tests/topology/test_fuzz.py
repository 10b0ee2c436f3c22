"""Whatever a file holds, the answer is a lab or a list of problems with their lines."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import LabError, LabErrors
from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.topology.load import parse_topology
from labctl.topology.model import Topology
from tests.topology.lab_files import LABS

pytestmark = pytest.mark.slow

calmly = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

WHERE = re.compile(r"lab\.yaml(\.j2)?:[1-9][0-9]*( \(rendered\))?")

VALID: list[dict[str, Any]] = [
    yaml.safe_load(path.read_text()) for path in sorted(LABS.glob("*.yaml"))
]
VALID.append(
    {
        "name": "ruled",
        "nodes": ["client", "server"],
        "links": [{"endpoints": ["client", "server"], "impair": {"client": "loss 1%"}}],
        "rules": {
            "seed": 7,
            "client->server": [
                {"drop": {"match": "udp", "packets": [3, "5-"]}},
                {"hold": {"until": {"match": "icmp"}, "timeout": "2s", "p": "10%"}},
            ],
        },
    }
)

WORDS = st.sampled_from(
    [
        *("client", "server", "switch", "client:eth0", "server:eth0", "a:b:c", "bridge", "router"),
        *("10.0.0.0/24", "10.0.0.1/24", "10.0.0.2/31", "10.0.1.0/8", "10.0.0.1", "::/0", "0/0"),
        *("fd00::/64", "fd00::1/64", "fd00::/128", "::ffff:1.2.3.4/96", "fe80::1%eth0", "default"),
        *("", "~", "null", "no", "-1", "1500", "68", "0", "65536", "99999999999999999999", "1e9"),
        *(
            "client->server",
            "server->client:eth0",
            "->",
            "delay 20ms",
            "loss 1%",
            "rate -1",
            "drop",
        ),
        *("02:00:00:00:00:01", "01:00:5e:00:00:01", "net.ipv4.ip_forward", "net.", "../x", "'"),
        *(
            "listening udp/8080",
            "listening tcp/0",
            "log x",
            "5s",
            "\x00",
            "\ud800",
            "é",
            "%s",
            "\n",
        ),
    ]
)
KEYS = st.sampled_from(
    [
        "name",
        "nodes",
        "links",
        "programs",
        "kind",
        "netns",
        "gateway",
        "routes",
        "sysctls",
        "endpoints",
        "ipv4",
        "ipv6",
        "mtu",
        "mac",
        "command",
        "node",
        "ready",
        "ready_within",
        "to",
        "via",
        "impair",
        "rules",
        "seed",
        "match",
        "packets",
        "client",
        "server",
        "switch",
    ]
)
VALUES = st.recursive(
    WORDS | st.none() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | WORDS, inner, max_size=3),
    max_leaves=6,
)


def outcome(content: bytes, path: str) -> Topology | None:
    """Return the lab, or None after looking at the problems; anything else is a bug."""
    try:
        topology = parse_topology(content, path, {})
    except LabError as error:
        problems = [error]
    except LabErrors as errors:
        problems = errors.problems
    else:
        assert plan_lab(topology, HostAbilities())
        return topology
    assert problems
    for problem in problems:
        assert WHERE.fullmatch(problem.where), problem.where
        assert problem.problem
        assert problem.problem.isprintable(), repr(problem.problem)
        assert not problem.problem.endswith("."), problem.problem
    return None


def places(value: object, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*way, key))


@st.composite
def mutated_labs(draw: st.DrawFn) -> bytes:
    """Return a valid lab with one to four values replaced, added or taken away."""
    lab: Any = deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        way = draw(st.sampled_from(list(places(lab))))
        if not way:
            if isinstance(lab, dict):
                lab[draw(KEYS)] = draw(VALUES)
            continue
        holder: Any = lab
        for step in way[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "add", "twice"])):
            case "replace":
                holder[way[-1]] = draw(VALUES)
            case "remove":
                del holder[way[-1]]
            case "add" if isinstance(holder[way[-1]], dict):
                holder[way[-1]][draw(KEYS | WORDS)] = draw(VALUES)
            case _ if isinstance(holder, list):
                holder.append(deepcopy(holder[way[-1]]))
            case _:
                holder[draw(KEYS)] = deepcopy(holder[way[-1]])
    return json.dumps(lab).encode()


@calmly
@given(st.binary(max_size=200))
def test_any_bytes_are_a_lab_or_problems(content: bytes) -> None:
    outcome(content, "lab.yaml")


@calmly
@given(st.text(alphabet="abn:{}[]-, \n#'\"|>&*!%@\t\\?~0/.é", max_size=80))
def test_any_text_is_a_lab_or_problems(text: str) -> None:
    outcome(text.encode(), "lab.yaml")


@calmly
@given(st.text(alphabet="ab{}%# -+\n|()[].,'\"=~0*/", max_size=60))
def test_any_template_is_a_lab_or_problems(text: str) -> None:
    outcome(b"{% set a = a | default(1) %}" + text.encode(), "lab.yaml.j2")


@calmly
@given(mutated_labs())
def test_any_lab_with_something_changed_is_a_lab_or_problems(content: bytes) -> None:
    outcome(content, "lab.yaml")


def test_the_labs_that_are_changed_are_valid_to_begin_with() -> None:
    for lab in VALID:
        assert outcome(json.dumps(lab).encode(), "lab.yaml") is not None
