"""How the checks talk to lpm, and how they ask the kernel the same."""

import random

from labctl.testing import Node, Program, Submission, expect_equal, machine_error

_ERRORS = {
    "File exists": "error: EEXIST",
    "No such process": "error: ESRCH",
    "Network is unreachable": "error: ENETUNREACH",
    "Invalid prefix for given prefix length": "error: EINVAL",
    "Invalid argument": "error: EINVAL",
}


def play(submission: Submission, script: str, hint: str) -> None:
    """Tell a fresh lpm the commands of a script, and compare each answer: ``COMMAND -> ANSWER``."""
    program = submission.start("host", "lpm", ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-6:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)


def random_commands(rng: random.Random) -> list[str]:
    """Return commands about routes that lie over each other, and about those that are not there."""
    prefixes = ["0.0.0.0/0"]
    for _ in range(40):
        length = rng.randrange(1, 33)
        network = _near(rng) >> (32 - length) << (32 - length)
        prefixes.append(f"{_dotted(network)}/{length}")
    commands = []
    for _ in range(400):
        # Not 0: to the kernel `del PREFIX metric 0` is `del PREFIX`.
        prefix, metric = rng.choice(prefixes), rng.randrange(1, 5)
        match rng.randrange(8):
            case 0 | 1 | 2:
                commands.append(f"add {prefix} {metric} lo")
            case 3:
                commands.append(f"del {prefix} {metric}")
            case 4:
                commands.append(f"del {prefix}")
            case _:
                commands.append(f"get {_dotted(_near(rng))}")
    return commands


def _near(rng: random.Random) -> int:
    """Return an address that has a good part of its bits in common with others."""
    address = 0x0A5A5A5A
    for _ in range(rng.randrange(4)):
        address ^= 1 << rng.randrange(25)
    return address


def _dotted(address: int) -> str:
    return ".".join(map(str, address.to_bytes(4, "big")))


def kernel_answers(node: Node, commands: list[str]) -> list[str]:
    """Carry out the commands on the node's own routes; return the answers in the words of lpm."""
    batch = "".join(f"{_for_ip(command)}\n" for command in commands)
    ended = node.run("ip", "-force", "-batch", "-", feed=batch.encode())
    errors: dict[int, str] = {}
    said = ""
    for line in ended.stderr.decode().splitlines():
        if line.startswith("Command failed -:"):
            errors[int(line.rpartition(":")[2])] = said
        else:
            said = line.partition(": ")[2].rstrip(".")
    found = iter(ended.stdout.decode().splitlines())
    answers = []
    for number, command in enumerate(commands, 1):
        if number in errors:
            answers.append(_ERRORS.get(errors[number], f"error: {errors[number]}"))
        else:
            answers.append(_route(next(found, "")) if command.startswith("get") else "ok")
    if rest := list(found):
        raise machine_error(f"ip has said more than was asked: {rest[0]}", where="check")
    return answers


def _for_ip(command: str) -> str:
    match command.split():
        case ["get", address]:
            return f"route get fibmatch {address}"
        case ["add", prefix, metric, device]:
            return f"route add {prefix} dev {device} metric {metric}"
        case ["del", prefix, metric]:
            return f"route del {prefix} metric {metric}"
        case _:
            return f"route {command}"


def _route(line: str) -> str:
    """Return ``10.0.0.0/8 dev lo scope link metric 5`` as ``10.0.0.0/8 5 lo``."""
    prefix, *words = line.split() or [""]
    fields = dict(zip(words[::2], words[1::2], strict=False))
    if prefix == "default":
        prefix = "0.0.0.0/0"
    elif "/" not in prefix:
        prefix += "/32"
    return f"{prefix} {fields.get('metric', '0')} {fields.get('dev', '')}"


def answers_to(program: Program, commands: list[str], hint: str) -> list[str]:
    """Return all answers to many commands, which are sent without waiting for each."""
    answers = []
    for start in range(0, len(commands), 500):
        some = commands[start : start + 500]
        program.write("".join(f"{command}\n" for command in some).encode(), hint=hint)
        answers += [program.line(expected=f'an answer to "{each}"', hint=hint) for each in some]
    return answers


def seconds_for(
    program: Program, commands: list[str], wanted: list[str], hint: str, *, enough_s: float = 0.0
) -> float:
    """Return the time on a CPU that the commands take, at best of ten, or the first below enough.

    The answers must be right. Others on the machine can only make it longer: they take the caches.
    """
    best = float("inf")
    for _ in range(10):
        before = program.cpu_seconds()
        answers = answers_to(program, commands, hint)
        best = min(best, program.cpu_seconds() - before)
        for command, answer, right in zip(commands, answers, wanted, strict=True):
            expect_equal(answer, right, f'the answer to "{command}"', hint)
        if best < enough_s:
            break
    return best
