"""The bench's arithmetic and its table; what it measures is measured by running it."""

import json

import pytest
from footprint import clients, meters, report
from footprint.report import Figure

pytestmark = pytest.mark.unit

MISSED = Figure("start → QR", "ms", 400.0, 352.0, 177.0, ratio=1.0)
MET = Figure("PSS, each of 20 side by side", "MiB", 33.04, 46.9, 28.1, at_most=36.0)
WITHOUT_GOAL = Figure("threads", "", 11.0)


def test_growth_is_that_of_the_second_half() -> None:
    warming_up = [(float(n), 30.0 + n) for n in range(50)]
    leaking = [(float(n), 80.0 + 0.1 * (n - 50)) for n in range(50, 100)]
    assert meters.growth(warming_up + leaking) == pytest.approx(0.1 * 49)


def test_the_saw_tooth_of_fresh_starts_is_no_growth() -> None:
    for phase in range(10):
        assert abs(meters.growth([(float(n), 47.0 + (n + phase) % 10) for n in range(200)])) < 1.0


def test_a_goal_is_a_limit_or_a_ratio_to_the_bare_script() -> None:
    assert (MET.goal, MET.met) == (36.0, True)
    assert (MISSED.goal, MISSED.met) == (352.0, False)
    assert (WITHOUT_GOAL.goal, WITHOUT_GOAL.met) == (None, None)


def test_the_result_names_goal_and_verdict() -> None:
    row = json.loads(report.as_json([MISSED]))[0]
    assert row == {
        "metric": "start → QR",
        "unit": "ms",
        "ours": 400.0,
        "anchor": "bare neonize script",
        "anchor_value": 352.0,
        "lean_anchor_value": 177.0,
        "goal": 352.0,
        "met": False,
    }


def test_what_is_kept_gives_the_same_table() -> None:
    figures = [MISSED, MET, WITHOUT_GOAL]
    assert report.table(report.from_json(report.as_json(figures))) == report.table(figures)


def test_the_table_goes_between_the_marks_of_the_page_and_can_go_there_again() -> None:
    page = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nText.\n"
    once = report.into_page(page, [MET], "a machine")
    assert once.startswith(f"# Title\n\n{report.BEGIN}\na machine\n\n| ")
    assert once.endswith(f" |\n{report.END}\n\nText.\n")
    assert "| PSS, each of 20 side by side (MiB) | 33.0 " in once
    assert report.into_page(once, [MET], "a machine") == once


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        report.into_page("# Title\n", [MET], "a machine")


def test_a_pod_is_measured_with_the_environment_of_its_image() -> None:
    lines = "FROM a\nENV PYTHONOPTIMIZE=2 GOGC=50\nRUN b\nENV PYTHONDONTWRITEBYTECODE=1\n"
    assert clients.image_environment(lines) == {"PYTHONOPTIMIZE": "2", "GOGC": "50"}
    assert clients.image_environment(clients.DOCKERFILE.read_text())["PYTHONOPTIMIZE"] == "2"
