"""The JSON Schema of rules, for editors; ``rule_reader`` is what understands them."""

from typing import Any

_FILTER = {"type": "string", "description": 'a filter as for tcpdump, such as "udp port 8080"'}
_NUMBER_OR_RANGE = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}
_TIME = {"type": "string", "description": "a time with its unit, such as 50ms or 2s"}
_COMMON: dict[str, Any] = {
    "match": _FILTER,
    "packets": {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string"},
            {"type": "array", "items": _NUMBER_OR_RANGE},
        ],
        "description": 'which of those that match, from 1: [3, 5], "2-4", "5-"',
    },
    "every": {"type": "integer", "minimum": 1, "description": "only multiples of this"},
    "p": {"type": "string", "description": "the chance, such as 10%"},
}
_UNTIL = {
    "type": "object",
    "properties": {"match": _FILTER},
    "required": ["match"],
    "additionalProperties": False,
}


def _settings(*needed: str, **own: object) -> dict[str, object]:
    return {
        "type": ["object", "null"],
        "properties": {**_COMMON, **own},
        "required": list(needed),
        "additionalProperties": False,
    }


_RULE = {
    "type": "object",
    "properties": {
        "drop": _settings(),
        "swap": _settings(timeout=_TIME),
        "delay": _settings("by", by=_TIME),
        "duplicate": _settings(),
        "corrupt": _settings(),
        "hold": _settings(until=_UNTIL, timeout=_TIME),
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}

RULES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"seed": {"type": "integer", "description": "of all random choices"}},
    "patternProperties": {"->": {"type": "array", "items": _RULE, "minItems": 1}},
    "additionalProperties": False,
}
