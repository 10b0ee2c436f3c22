import json

import yaml

from labctl.topology.schema import json_schema
from tests.topology.lab_files import LABS

SHIPPED = LABS.parent / "labctl" / "topology" / "lab.schema.json"


def test_the_shipped_schema_is_what_the_models_say() -> None:
    # If this fails after a change of the models: labctl schema > labctl/topology/lab.schema.json
    assert json.loads(SHIPPED.read_text()) == json_schema()


def test_the_schema_knows_every_key_and_forbids_others() -> None:
    schema = json_schema()

    assert set(schema["properties"]) == {"name", "nodes", "links", "programs", "rules"}
    assert schema["additionalProperties"] is False
    assert set(schema["definitions"]["LinkShape"]["properties"]) == {
        "endpoints",
        "ipv4",
        "ipv6",
        "mtu",
        "mac",
        "impair",
    }


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = json_schema()
    references = [
        word for word in json.dumps(schema).split('"') if word.startswith("#/definitions/")
    ]

    assert references
    for reference in references:
        assert reference.removeprefix("#/definitions/") in schema["definitions"]


def test_every_plain_lab_names_the_schema_for_editors() -> None:
    for lab in LABS.glob("*.yaml"):
        last = lab.read_text().splitlines()[-1]
        prefix = "# yaml-language-server: $schema="
        assert last.startswith(prefix), lab.name
        assert (lab.parent / last.removeprefix(prefix)).resolve() == SHIPPED
        assert yaml.safe_load(lab.read_text())["name"] == lab.stem
