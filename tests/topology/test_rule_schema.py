"""The schema and the reader of rules know the same words."""

from typing import get_args

from labctl.topology.rule_reader import _COMMON_KEYS, _OWN_KEYS
from labctl.topology.rule_schema import RULES_SCHEMA
from labctl.topology.rules import Kind


def test_the_schema_has_every_kind_with_its_settings_and_no_other() -> None:
    kinds = RULES_SCHEMA["patternProperties"]["->"]["items"]["properties"]
    assert set(kinds) == set(get_args(Kind))
    for kind, settings in kinds.items():
        assert set(settings["properties"]) == {*_COMMON_KEYS, *_OWN_KEYS[kind]}, kind
        assert settings["additionalProperties"] is False
