"""What is kept of a learner's checks: a folder a run, the last ten of them."""

import os
import re
import shutil
import time

from labctl.grading.files import write_file, write_json
from labctl.grading.outcome import CheckResult, Report, report_as_json
from labctl.grading.text import report_lines

_FOLDER = os.path.join(".labctl", "results")
_LATEST = "latest"
_MOST = 10
_TIME = "%Y-%m-%d_%H.%M.%S"
_OWN = re.compile(r"(\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d)(?:_(\d+))?")


def new_results_folder(submission: str) -> str:
    """Make the folder of the run that begins now, and return its path.

    Raises ``OSError`` where none can be made.
    """
    results = os.path.join(submission, _FOLDER)
    os.makedirs(results, exist_ok=True)
    now = time.strftime(_TIME)
    while True:
        # After all others of this second, also where the first of them are removed already.
        taken = [match for match in map(_OWN.fullmatch, os.listdir(results)) if match]
        number = max((int(match[2] or 1) for match in taken if match[1] == now), default=0) + 1
        folder = os.path.join(results, now if number == 1 else f"{now}_{number:02}")
        try:
            os.mkdir(folder)
        except FileExistsError:
            continue
        return folder


def with_paths_from(folder: str, report: Report) -> Report:
    """Return the report with the paths of its packets as seen from a folder, to be kept there."""
    return report._replace(checks=tuple(_with_path_from(folder, check) for check in report.checks))


def _with_path_from(folder: str, check: CheckResult) -> CheckResult:
    evidence = check.evidence
    if not evidence.pcap:
        return check
    return check._replace(evidence=evidence._replace(pcap=os.path.relpath(evidence.pcap, folder)))


def keep_report(folder: str, report: Report) -> str:
    """Write what came out into the run's folder; return the link that leads to the latest one."""
    report = with_paths_from(folder, report)
    write_file(os.path.join(folder, "report.txt"), "\n".join(report_lines(report)) + "\n")
    write_json(os.path.join(folder, "results.json"), report_as_json(report))
    results, name = os.path.split(folder)
    link = os.path.join(results, f".{_LATEST}.new")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(name, link)
    latest = os.path.join(results, _LATEST)
    os.replace(link, latest)
    _remove_old(results)
    return latest


def drop_results_folder(folder: str) -> None:
    """Remove the folder of a run that did not come to its end."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_old(results: str) -> None:
    # By name, which is the time; nothing else that lies here is touched.
    own = sorted(
        entry.name
        for entry in os.scandir(results)
        if _OWN.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
    )
    for name in own[:-_MOST]:
        shutil.rmtree(os.path.join(results, name), ignore_errors=True)
