import json

from labctl.observe.graph_json import draw_json
from tests.observe.graph_labs import two_clients


def test_the_names_of_the_fields_are_the_keys() -> None:
    drawn = json.loads(draw_json(two_clients()))
    assert drawn["format"] == 1
    assert drawn["name"] == "two_clients"
    assert drawn["nodes"][0] == {
        "name": "client1",
        "kind": "host",
        "netns": "ns_client1",
        "routes": [{"to": "default", "via": "10.0.1.1"}],
        "sysctls": [],
    }
    assert drawn["links"][1]["right"]["addresses"] == ["10.0.2.1/24"]
    assert drawn["programs"][0]["command"] == ["./time_server"]
