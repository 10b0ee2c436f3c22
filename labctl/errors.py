"""The one exception that is not a bug: a sentence for the user, with where and what next."""


class LabError(Exception):
    """Something the user can act on; rendered once, in ``labctl.cli``.

    ``problem`` is lower case, without a full stop, in the user's own words. ``where`` is a
    ``file:line`` or the name of the thing concerned, ``hint`` says what to do next, ``output`` is the
    last output of a program concerned. ``exit_code`` follows the table of the README: 1 the checked thing failed, 2 usage or lab file wrong,
    3 labctl or the machine is at fault.
    """

    def __init__(
        self, problem: str, *, where: str = "", hint: str = "", output: str = "", exit_code: int = 2
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.hint = hint
        self.output = output
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


class LabErrors(Exception):
    """Every problem of one input at once, in the order of the file."""

    def __init__(self, problems: list[LabError]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.exit_code = max(problem.exit_code for problem in problems)


def machine_error(problem: str, *, where: str = "", hint: str = "", output: str = "") -> LabError:
    """Return an error that is the machine's fault (exit code 3), not the user's."""
    return LabError(problem, where=where, hint=hint, output=output, exit_code=3)
