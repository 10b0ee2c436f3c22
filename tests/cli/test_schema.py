import json

from labctl.topology.schema import json_schema
from tests.cli.commands import Labctl


def test_the_schema_is_the_one_that_files_are_checked_by(labctl: Labctl) -> None:
    done = labctl("schema")

    assert done.code == 0
    assert json.loads(done.out) == json_schema()
