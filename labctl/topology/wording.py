"""What does not fit the shape of a lab file, said in the words of lab files."""

from pydantic_core import ErrorDetails

from labctl.topology.problems import Loc, Problems
from labctl.topology.schema import (
    LabShape,
    LinkShape,
    NodeProgramShape,
    NodeShape,
    ProgramShape,
    RouteShape,
)
from labctl.topology.words import listed, quoted, suggestion

_EXPECTED = {
    "name": "one word",
    "nodes": "a mapping of node names to their settings, or a list of names",
    "links": "a list, one entry for each link",
    "programs": "a mapping of program names to {command: ...}",
    "netns": "one word",
    "gateway": "an address, or a list of one IPv4 and one IPv6 address",
    "routes": "a list of {to: SUBNET, via: ADDRESS}",
    "sysctls": "a mapping such as {net.ipv4.ip_forward: 1}",
    "endpoints": 'a list of two, such as ["client:eth0", "server:eth0"]',
    "ipv4": "a pair such as [10.0.1.1/24, 10.0.1.2/24], or one subnet such as 10.0.1.0/24",
    "ipv6": "a pair such as [fd00:1::1/64, fd00:1::2/64], or one subnet such as fd00:1::/64",
    "mtu": "a number of bytes",
    "mac": 'a pair such as ["02:00:00:00:00:01", null]',
    "impair": "words such as `delay 20ms loss 1%`, or a mapping from an end to words",
    "command": "one line, or a list of words",
    "node": "the name of a node",
    "ready": "one of `listening udp/PORT`, `listening tcp/PORT`, `log TEXT`",
    "ready_within": "seconds, such as 5 or 500ms",
    "to": "`default`, or a subnet such as 10.0.2.0/24",
    "via": "an address",
}

_THE_LAB = "the lab"


def report_misfit(error: ErrorDetails, problems: Problems) -> None:
    """Report one of pydantic's errors as a sentence about the file."""
    loc = error["loc"]
    kind = error["type"]
    around = loc[:-1]
    last = loc[-1] if loc else ""
    if kind == "missing":
        problems.add(
            around,
            f"{described(around)} has no `{last}`",
            f"`{last}` is {_EXPECTED[str(last)]}",
            of_key=True,
        )
    elif kind == "extra_forbidden":
        problems.add(
            loc,
            f"unknown key {quoted(last)} in {described(around)}",
            suggestion(str(last), _keys(around), kind="the keys are"),
            of_key=True,
        )
    elif kind == "literal_error":
        kinds = ("host", "router", "bridge")
        problems.add(
            loc,
            f"{described(around)} is of the unknown kind {quoted(error['input'])}",
            suggestion(str(error["input"]), kinds, kind="the kinds are"),
        )
    elif kind == "quotes":
        problems.add(
            loc,
            f"a quote is not closed in the command of {described(around)}",
            "write the command as a list of words",
        )
    else:
        _report_wrong_type(loc, error["input"], problems)


def _report_wrong_type(loc: Loc, value: object, problems: Problems) -> None:
    """Report a list where a word belongs, and the like."""
    if not loc:
        problems.add(loc, "a lab file is a mapping", "start with `name:`, `nodes:` and `links:`")
        return
    if described(loc) != _THE_LAB:
        hint = f"the keys are: {listed(_keys(loc))}"
        problems.add(loc, f"{described(loc)} must be a mapping", hint)
        return
    if loc[-2:-1] == ("sysctls",):
        problems.add(loc, f"the setting {quoted(loc[-1])} must be a number or a word")
        return
    # What is wrong with one item of a list is best said by what the list should be.
    field = loc[:-1] if isinstance(loc[-1], int) else loc
    owner = described(field[:-1])
    subject = f"`{field[-1]}`" if owner == _THE_LAB else f"`{field[-1]}` of {owner}"
    expected = _EXPECTED[str(field[-1])]
    if value is None:
        problems.add(loc, f"{subject} has no value", f"leave it out, or give it {expected}")
    else:
        problems.add(loc, f"{subject} must be {expected}")


def described(loc: Loc) -> str:
    """Return what stands at the place, as one would say it."""
    match loc:
        case ("nodes", str(node)):
            return f"node {quoted(node)}"
        case ("links", int(index)):
            return f"link {index + 1}"
        case ("programs", str(program)) | ("nodes", _, "programs", str(program)):
            return f"program {quoted(program)}"
        case ("nodes", str(node), "routes", int(index)):
            return f"route {index + 1} of node {quoted(node)}"
        case _:
            return _THE_LAB


def _keys(loc: Loc) -> list[str]:
    """Return the keys that may stand in the mapping at the place."""
    match loc:
        case ("nodes", _):
            return list(NodeShape.model_fields)
        case ("links", _):
            return list(LinkShape.model_fields)
        case ("programs", _):
            return list(ProgramShape.model_fields)
        case ("nodes", _, "programs", _):
            return list(NodeProgramShape.model_fields)
        case ("nodes", _, "routes", _):
            return list(RouteShape.model_fields)
        case _:
            return list(LabShape.model_fields)
