"""The quantities in tc's words: times, rates, percentages and counts, to numbers and back.

As tc(8) has them: a bare number is microseconds as a time (nanoseconds as that of a slot), bits a
second as a rate and percent as a probability; small and capital letters are the same in units.
"""

import math
import re

from labctl.errors import LabError
from labctl.topology.words import listed, quoted

LONGEST_NS = 4_294_967_295_000
"""The longest time tc can write down: 2³² - 1 microseconds."""
LARGEST_COUNT = 2**32 - 1
_FASTEST = 2**63 - 1

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)([a-z%]*)", re.ASCII | re.I)

_NANOSECONDS = {
    **dict.fromkeys(("s", "sec", "secs"), 1_000_000_000),
    **dict.fromkeys(("ms", "msec", "msecs"), 1_000_000),
    **dict.fromkeys(("us", "usec", "usecs"), 1_000),
    **dict.fromkeys(("ns", "nsec", "nsecs"), 1),
}
_PREFIXES = {"": 1} | {
    prefix + between: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for between, base in (("", 1000), ("i", 1024))
}
_BITS = {"": 1} | {
    prefix + unit: factor * bits
    for prefix, factor in _PREFIXES.items()
    for unit, bits in (("bit", 1), ("bps", 8))
}
_SIZES = {"": 1, "b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30}

UNITS = frozenset(unit for table in (_NANOSECONDS, _BITS) for unit in table) | {"%"}


def looks_like_a_quantity(word: str) -> bool:
    """Whether the word can only be meant as a value, not as a keyword."""
    return word[:1].isdigit() or (word[:1] in "+-." and word[1:2].isalnum())


def time_ns(word: str, *, bare: str = "us") -> int:
    """Return the nanoseconds in ``100ms``; ``bare`` is the unit of a bare number."""
    value, unit = _quantity(word, "time", "500ms")
    unit = unit or bare
    if unit not in _NANOSECONDS:
        raise LabError(
            f"{quoted(word)} is not a time", hint="times end in s, ms, us or ns, such as 500ms"
        )
    if value < 0:
        raise LabError(f"the time {quoted(word)} is negative", hint="a time is zero or more")
    nanoseconds = value * _NANOSECONDS[unit]
    if nanoseconds > LONGEST_NS:
        raise LabError(
            f"the time {quoted(word)} is too long",
            hint=f"at most {time_word(LONGEST_NS)}, as in tc",
        )
    return round(nanoseconds)


def time_word(nanoseconds: int) -> str:
    """Return the time as tc would be told it: ``1.5ms``."""
    # No ns: tc took none before iproute2 6.9, and fractions of a microsecond say the same.
    for unit in ("s", "ms", "us"):
        if nanoseconds >= _NANOSECONDS[unit]:
            break
    whole, rest = divmod(nanoseconds, _NANOSECONDS[unit])
    digits = len(str(_NANOSECONDS[unit])) - 1
    fraction = f"{rest:0{digits}}".rstrip("0")
    return f"{whole}.{fraction}{unit}" if fraction else f"{whole}{unit}"


def probability(word: str) -> float:
    """Return the fraction in ``40%``; a bare 40 is the same, as in tc."""
    value, unit = _quantity(word, "percentage", "40%")
    if unit not in ("", "%"):
        raise LabError(f"{quoted(word)} is not a percentage", hint="such as 40%")
    if value < 0:
        raise LabError(f"the percentage {quoted(word)} is negative", hint="from 0% to 100%")
    if value > 100:
        raise LabError(f"the percentage {quoted(word)} is over 100%", hint="from 0% to 100%")
    return value / 100


def remainder(fraction: float) -> float:
    """Return what is missing to one, without the last digits that subtracting makes up."""
    return float(f"{(1.0 - fraction) * 100:.12g}") / 100


def percent_word(fraction: float) -> str:
    """Return the shortest percentage that ``probability`` reads as the same fraction."""
    near = fraction * 100
    for percent in (near, math.nextafter(near, 0), math.nextafter(near, 100)):
        for digits in range(1, 18):
            number = f"{percent:.{digits}g}"
            if float(number) / 100 == fraction:
                return f"{_plain(number)}%"
    return f"{_plain(str(near))}%"


def _plain(number: str) -> str:
    """Return the number without an exponent."""
    digits, _, exponent = number.partition("e")
    if not exponent:
        return number
    places = len(digits.partition(".")[2]) - int(exponent)
    return f"{float(number):.{max(places, 0)}f}"


def bytes_per_s(word: str) -> int:
    """Return the bytes a second in ``5mbit`` (bits) or ``5mbps`` (bytes); bare numbers are bits."""
    value, unit = _quantity(word, "rate", "5mbit")
    if unit not in _BITS:
        hint = "rates end in bit, kbit, mbit, gbit (bits a second) or bps, kbps, mbps (bytes)"
        if unit == "%":
            hint = "a link of a lab has no speed of its own to take a part of; say 5mbit"
        raise LabError(f"{quoted(word)} is not a rate", hint=hint)
    rate = value * _BITS[unit] / 8
    if rate < 1:
        raise LabError(
            f"the rate {quoted(word)} is too low",
            hint="at least 8bit, a byte a second; such as 5mbit",
        )
    if rate > _FASTEST:
        raise LabError(f"the rate {quoted(word)} is too high", hint="such as 5mbit")
    return int(rate)


def rate_word(rate: int) -> str:
    """Return the rate in the largest unit that leaves a whole number."""
    bits = rate * 8
    for prefix in ("t", "g", "m", "k"):
        if bits % _PREFIXES[prefix] == 0:
            return f"{bits // _PREFIXES[prefix]}{prefix}bit"
    return f"{bits}bit"


def size(word: str, what: str) -> int:
    """Return the count or number of bytes in ``1000`` or ``1k`` (1024, as in tc); at least 1."""
    value, unit = _quantity(word, what, "1000")
    if unit not in _SIZES:
        raise LabError(
            f"{quoted(word)} is not a {what}", hint=f"a number, or with one of {listed('kmg')}"
        )
    count = round(value * _SIZES[unit])
    if not 1 <= count <= LARGEST_COUNT:
        raise LabError(
            f"the {what} {quoted(word)} is out of range", hint=f"from 1 to {LARGEST_COUNT}"
        )
    return count


def whole(word: str, what: str, *, lowest: int, highest: int) -> int:
    """Return the whole number that the word says."""
    found = re.fullmatch(r"[+-]?\d{1,20}", word, re.ASCII)
    if found is None:
        raise LabError(f"{quoted(word)} is not a whole number", hint=f"the {what} is one")
    number = int(word)
    if not lowest <= number <= highest:
        raise LabError(
            f"the {what} {quoted(word)} is out of range", hint=f"from {lowest} to {highest}"
        )
    return number


def _quantity(word: str, what: str, example: str) -> tuple[float, str]:
    """Return the number and the unit, in small letters."""
    found = _QUANTITY.fullmatch(word) if len(word) <= 40 else None
    if found is None:
        raise LabError(f"{quoted(word)} is not a {what}", hint=f"such as {example}")
    return float(found[1]), found[2].lower()
