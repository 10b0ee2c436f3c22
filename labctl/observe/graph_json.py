"""A lab as JSON, for programs that want the picture's facts and not the picture."""

import json

from labctl.topology.model import Topology


def draw_json(topology: Topology) -> str:
    """Return the resolved lab; the keys are the names of the model's fields."""
    return json.dumps(_plain({"format": 1, **topology._asdict()}), indent=2) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
