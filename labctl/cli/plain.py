"""The plainest command lines, understood without argparse.

Importing argparse takes a third of the time that ``labctl up`` has, and longer than ``exec`` and
``down`` need for their work. What is not understood here is argparse's.
"""


def parse_plain(
    words: list[str], *, flags: tuple[str, ...] = (), options: tuple[str, ...] = ()
) -> tuple[set[str], list[tuple[str, str]], list[str]] | None:
    """Return (flags given, options with their values, positional words that follow them).

    Options stand first; from the first positional word on nothing is looked at. ``None`` where a
    word begins with a dash and is none of those named, or where an option's value begins with one.
    """
    given: set[str] = set()
    values: list[tuple[str, str]] = []
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        if word in flags:
            given.add(word)
        elif word in options and at + 1 < len(words) and not words[at + 1].startswith("-"):
            at += 1
            values.append((word, words[at]))
        else:
            return None
        at += 1
    return given, values, words[at:]
