import json
from pathlib import Path

from labctl.grading.outcome import Evidence, report_from_json
from labctl.grading.results import (
    drop_results_folder,
    keep_report,
    new_results_folder,
    with_paths_from,
)
from tests.grading.folders import names_in
from tests.grading.reports import FAILED, PASSED, a_check, a_report

REPORT = a_report(a_check(PASSED))


def _results(submission: Path) -> Path:
    return submission / ".labctl" / "results"


def test_what_came_out_is_kept_as_text_and_as_json(tmp_path: Path) -> None:
    folder = new_results_folder(str(tmp_path))
    latest = keep_report(folder, REPORT)

    assert Path(latest) == _results(tmp_path) / "latest"
    assert "✓ it answers" in Path(latest, "report.txt").read_text()
    assert report_from_json(json.loads(Path(latest, "results.json").read_text())) == REPORT


def test_latest_leads_to_the_last_run(tmp_path: Path) -> None:
    folders = [new_results_folder(str(tmp_path)) for _ in range(3)]
    for folder in folders:
        keep_report(folder, REPORT)

    assert (_results(tmp_path) / "latest").readlink() == Path(Path(folders[-1]).name)
    assert len(names_in(_results(tmp_path))) == 4


def test_ten_runs_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    results = _results(tmp_path)
    results.mkdir(parents=True)
    own = ["2020-01-01_00.00.00", "2020-01-01_00.00.00 copy", "my notes"]
    for name in own[1:]:
        (results / name).mkdir()
    (results / own[0]).symlink_to("my notes")
    folders = []
    for _ in range(13):
        folders.append(new_results_folder(str(tmp_path)))
        keep_report(folders[-1], REPORT)

    kept = [Path(folder).name for folder in folders[3:]]
    assert names_in(results) == sorted([*own, *kept, "latest"])


def test_a_run_that_was_stopped_leaves_nothing(tmp_path: Path) -> None:
    folder = new_results_folder(str(tmp_path))
    Path(folder, "packets.pcapng").touch()
    drop_results_folder(folder)

    assert names_in(_results(tmp_path)) == []


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    results = _results(tmp_path)
    results.mkdir(parents=True)
    (results / ".latest.new").symlink_to("nowhere")
    keep_report(new_results_folder(str(tmp_path)), REPORT)

    assert (results / "latest" / "report.txt").exists()
    assert not (results / ".latest.new").is_symlink()


def test_packets_are_named_as_seen_from_the_folder() -> None:
    shown = a_check(FAILED, evidence=Evidence(pcap="/kept/run/packets/a.pcapng"))
    [seen, other] = with_paths_from("/kept/run", a_report(shown, a_check(PASSED))).checks

    assert seen.evidence.pcap == "packets/a.pcapng"
    assert other.evidence.pcap == ""
