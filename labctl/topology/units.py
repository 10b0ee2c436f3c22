"""Words with a unit become numbers; the only place where units are parsed."""

import re

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def duration_s(text: str) -> float | None:
    """Return the seconds in ``5``, ``5s``, ``500ms`` or ``2min``; None for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    return float(found[1]) * _SECONDS[found[2] or "s"]


def whole_number(text: str) -> int | None:
    """Return the number that the digits say; None for anything but a few decimal digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
