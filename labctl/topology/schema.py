"""The shape of a lab file: which keys there are, and what each of them holds.

What was written, not what is meant: scalars are still text (see ``tree``), so numbers, addresses
and conditions are understood in ``resolve`` and its neighbours. The JSON Schema for editors comes
from the same models.
"""

import shlex
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from labctl.topology.model import NodeKind
from labctl.topology.rule_schema import RULES_SCHEMA
from labctl.topology.words import LONGEST_NAME

_NAME = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", "maxLength": LONGEST_NAME}
_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_MAYBE_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_PAIR = {"type": "array", "items": _MAYBE_TEXT, "minItems": 2, "maxItems": 2}
_ADDRESSES = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": _MAYBE_TEXT, "minItems": 1, "maxItems": 2},
    ]
}
_IMPAIR = {
    "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]
}
_NUMBER_OR_TEXT = {"type": ["number", "string"]}
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"
_NOTHING: tuple[object, ...] = (None, "", [], {}, [None, None])


def _addresses(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and 1 <= len(value) <= 2 and all(map(_is_text_or_none, value)):
        return tuple(value)
    raise PydanticCustomError("shape", "")


def _pair(value: object) -> object:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_text_or_none, value)):
        return tuple(value)
    raise PydanticCustomError("shape", "")


def _impair(value: object) -> object:
    if isinstance(value, str) or (
        isinstance(value, dict)
        and value
        and all(isinstance(words, str) for words in value.values())
    ):
        return value
    raise PydanticCustomError("shape", "")


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _split_command(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError:
        raise PydanticCustomError("quotes", "") from None


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


def _empty_list(value: object) -> object:
    return [] if value is None else value


Name = Annotated[str, WithJsonSchema(_NAME)]
Addresses = Annotated[
    str | tuple[str | None, ...], PlainValidator(_addresses), WithJsonSchema(_ADDRESSES)
]
Pair = Annotated[tuple[str | None, str | None], PlainValidator(_pair), WithJsonSchema(_PAIR)]
Impair = Annotated[str | dict[str, str], PlainValidator(_impair), WithJsonSchema(_IMPAIR)]
Rules = Annotated[Any, WithJsonSchema(RULES_SCHEMA)]
Gateways = Annotated[list[str], BeforeValidator(_one_or_more), WithJsonSchema(_ONE_OR_MORE)]
Command = Annotated[list[str], BeforeValidator(_split_command), WithJsonSchema(_ONE_OR_MORE)]
Duration = Annotated[str, WithJsonSchema(_NUMBER_OR_TEXT)]
SysctlValue = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]
Mtu = Annotated[str, WithJsonSchema({"type": "integer", "minimum": 68, "maximum": 65535})]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RouteShape(_Shape):
    """A static route."""

    to: Annotated[str, Field(description="`default`, or a subnet such as 10.0.2.0/24")]
    via: Annotated[str, Field(description="the address of the next hop")]


class NodeProgramShape(_Shape):
    """A program that `labctl up` starts in the node around it."""

    command: Annotated[
        Command, Field(description="the words to run, or one line split as a shell would")
    ]
    ready: Annotated[
        str,
        Field(description="`listening udp/PORT`, `listening tcp/PORT` or `log TEXT`"),
    ] = ""
    ready_within: Annotated[Duration, Field(description="seconds, or as in 500ms, 5s, 1min")] = "5"


class ProgramShape(NodeProgramShape):
    """A program that `labctl up` starts."""

    node: Annotated[Name, Field(description="where it runs")]


class NodeShape(_Shape):
    """A network namespace."""

    kind: Annotated[
        NodeKind, Field(description="a `router` forwards packets, a `bridge` is a switch")
    ] = "host"
    netns: Annotated[str, Field(description="the name for `ip netns`; LAB-NODE if left out")] = ""
    gateway: Annotated[
        Gateways, Field(description="the default route: an address, or one of each family")
    ] = []
    routes: Annotated[list[RouteShape], Field(description="static routes")] = []
    sysctls: Annotated[
        dict[str, SysctlValue], Field(description="kernel settings below `net.`")
    ] = {}
    programs: Annotated[
        dict[str, NodeProgramShape], Field(description="programs that `labctl up` starts here")
    ] = {}


class LinkShape(_Shape):
    """A cable between two nodes."""

    endpoints: Annotated[
        list[str],
        Field(min_length=2, max_length=2, description="two of `node` or `node:interface`"),
    ]
    ipv4: Annotated[
        Addresses, Field(description="[address/length, address/length], or one subnet")
    ] = ()
    ipv6: Annotated[
        Addresses, Field(description="[address/length, address/length], or one subnet")
    ] = ()
    mtu: Annotated[Mtu, Field(description="bytes, for both ends")] = ""
    mac: Annotated[Pair, Field(description="a MAC address for each end")] = (None, None)
    impair: Annotated[
        Impair,
        Field(
            description="what becomes of packets, in the words of `labctl impair`: for both "
            "directions, or for what each node sends"
        ),
    ] = ""


def _nodes_schema(schema: dict[str, Any]) -> None:
    mapping = {
        key: schema.pop(key)
        for key in ("type", "additionalProperties", "propertyNames")
        if key in schema
    }
    mapping["additionalProperties"] = {"anyOf": [mapping["additionalProperties"], {"type": "null"}]}
    schema["anyOf"] = [mapping, {"type": "array", "items": _NAME, "minItems": 1}]


class LabShape(_Shape):
    """A labctl lab: nodes, and the links between them."""

    name: Annotated[Name, Field(description="what the lab is called on the command line")]
    nodes: Annotated[
        dict[str, Annotated[NodeShape, BeforeValidator(_empty_mapping)]],
        Field(description="by name, or a list of names", json_schema_extra=_nodes_schema),
    ]
    links: Annotated[
        list[LinkShape], BeforeValidator(_empty_list), Field(description="the cables")
    ] = []
    programs: Annotated[
        dict[str, ProgramShape],
        BeforeValidator(_empty_mapping),
        Field(description="programs that `labctl up` starts, by name"),
    ] = {}
    rules: Annotated[
        Rules, Field(description="exact faults, by direction: `client->server`; and their seed")
    ] = None


def validate(tree: object) -> LabShape | list[ErrorDetails]:
    """Return the shape, or everything that does not fit it."""
    try:
        return LabShape.model_validate(tree)
    except ValidationError as error:
        return error.errors(include_url=False)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of lab files, for editors."""
    schema = LabShape.model_json_schema(ref_template="#/definitions/{model}")
    _drop_noise(schema)
    # Draft 7 is what the language server for YAML knows; it calls the inner models so.
    definitions = schema.pop("$defs")
    return {"$schema": _DRAFT_7, **schema, "definitions": definitions}


def _drop_noise(schema: dict[str, Any]) -> None:
    """Drop the titles, which repeat the keys, and the defaults that say no more than "nothing"."""
    schema.pop("title", None)
    if schema.get("default") in _NOTHING:
        schema.pop("default", None)
    for inner in schema.values():
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                _drop_noise(one)
