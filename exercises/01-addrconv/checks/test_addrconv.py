"""Checks of addrconv. The contract is in README.md."""

import random

import pytest

from labctl.testing import Ended, Submission, expect, expect_equal

NO_ADDRESS = (
    "256.0.0.1",
    "abrakadabra",
    "1.2.3.4.5",
    "1..2.3",
    "1.2.3.-4",
    "1.2.3.4x",
    "",
)

OLD_FORMS = {
    "127.1": "fewer than four numbers",
    "1.2.3": "fewer than four numbers",
    "2130706433": "a single number",
    "0x7f.0.0.1": "a hexadecimal number",
    "010.0.0.1": "a leading zero, which some take for octal",
    "1.2.3.4 ": "a blank at the end",
    "1.2.3.4 x": "something after a blank",
}


def convert(submission: Submission, text: str) -> Ended:
    return submission.run("host", "addrconv", text)


def check_line(submission: Submission, numbers: list[int], hint: str = "") -> None:
    text = ".".join(map(str, numbers))
    wanted = f"{text} -> {bytes(numbers).hex()} -> {text}"
    ended = convert(submission, text)
    said = ended.stdout.decode(errors="backslashreplace")
    expect(
        said == f"{wanted}\n",
        expected=f"one line on stdout: {wanted}",
        actual=printed(ended),
        hint=hint or line_hint(said, numbers),
    )
    expect_equal(ended.exit_status, 0, f"exit status of `addrconv {text}`", "exit 0 after the line")


def printed(ended: Ended) -> str:
    for name, data in (("stdout", ended.stdout), ("stderr", ended.stderr)):
        lines = data.decode(errors="backslashreplace").splitlines()
        if lines:
            more = f", the last of {len(lines)} lines" if len(lines) > 1 else ""
            return f"on {name}: {lines[-1]}{more}"
    return f"nothing was printed; exit status {ended.exit_status}"


def line_hint(said: str, numbers: list[int]) -> str:
    if bytes(reversed(numbers)).hex() in said:
        return "these are the bytes in your machine's order: print them as they are, one by one"
    if f" {int.from_bytes(bytes(numbers), 'big'):x} " in said:
        return "each byte is two digits, also a small one: %02x in C, .hex() in Python"
    if said and not said.endswith("\n"):
        return "end the line with a line feed"
    return "one line: text, four bytes as eight lower-case hexadecimal digits, text; ` -> ` between"


def check_refused(submission: Submission, text: str, hint: str) -> None:
    ended = convert(submission, text)
    wanted = f'error: inet_pton: "{text}" is not an IPv4 address'
    is_taken = b" -> " in ended.stdout
    expect(
        not ended.stdout,
        expected=f"nothing on stdout; on stderr: {wanted}",
        actual=printed(ended),
        hint=hint
        if is_taken
        else "an error goes to stderr: print(…, file=sys.stderr) in Python, fprintf(stderr, …) in C",
    )
    told = ended.stderr.decode(errors="backslashreplace").splitlines()
    expect(
        len(told) == 1 and told[0].startswith("error: "),
        expected=f"one line on stderr: {wanted}",
        actual=printed(ended),
        hint="print a line of your own; in Python, catch the OSError of inet_pton()",
    )
    expect_equal(
        ended.exit_status,
        1,
        f'exit status of `addrconv "{text}"`',
        "after the line on stderr: sys.exit(1) in Python, return 1 from main in C",
    )


@pytest.mark.points(3)
def test_an_address_becomes_four_bytes(submission: Submission, rng: random.Random) -> None:
    """an address becomes four bytes, and text again"""
    check_line(submission, [192, 168, 1, 100])
    check_line(submission, [127, 0, 0, 1])
    check_line(submission, [0, 0, 0, 0])
    check_line(submission, [10, *(rng.randrange(256) for _ in range(3))])


@pytest.mark.needs("test_an_address_becomes_four_bytes")
@pytest.mark.points(1)
def test_all_ones_is_an_address_too(submission: Submission) -> None:
    """255.255.255.255 is an address too"""
    check_line(
        submission,
        [255, 255, 255, 255],
        "inet_addr() returns -1 for an error, and that is ffffffff in 32 bits: take inet_pton(), "
        "whose result is apart from the address",
    )


@pytest.mark.needs("test_an_address_becomes_four_bytes")
@pytest.mark.points(3)
def test_what_is_no_address_is_refused(submission: Submission) -> None:
    """what is no address is refused, on stderr and with exit status 1"""
    for text in NO_ADDRESS:
        check_refused(
            submission,
            text,
            "inet_pton() returns 0 for this, not -1: go on only if it returned 1; "
            "in Python it raises OSError",
        )


@pytest.mark.needs("test_what_is_no_address_is_refused")
@pytest.mark.points(3)
def test_only_four_decimal_numbers_are_an_address(submission: Submission) -> None:
    """only four decimal numbers are an address, and none of the older forms"""
    for text, form in OLD_FORMS.items():
        check_refused(
            submission,
            text,
            f"it has {form}; inet_pton() refuses that, inet_aton() and numbers read by hand do not",
        )
