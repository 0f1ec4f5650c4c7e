"""What the warm start's bench makes of what it saw: moments of a node's log, parts, figures, tables."""

import re
from pathlib import Path

import pytest
from warmstart import nodelog, report, timeline
from warmstart.lives import SERVE, bare_spec

pytestmark = pytest.mark.unit

POD = "RunPodSandbox for &PodSandboxMetadata{{Name:{},Uid:2,Namespace:n,Attempt:0,}}"
CONTAINER = r"CreateContainer within sandbox \"{}\" for &ContainerMetadata{{Name:session,Attempt:0,}} returns container id \"{}\""
LINES = {
    "01.00": POD.format("other"),
    "02.00": POD.format("a-session"),
    "02.25": POD.format("a-session") + r" returns sandbox id \"s2\"",
    "02.30": CONTAINER.format("s1", "c1"),
    "02.50": CONTAINER.format("s2", "c2"),
    "02.60": r"StartContainer for \"c1\" returns successfully",
    "02.70": r"StartContainer for \"c2\"",
    "02.75": r"StartContainer for \"c2\" returns successfully",
}
LOG = "".join(f'time="2026-01-01T00:00:{second}0000000Z" level=info msg="{said}"\n' for second, said in LINES.items())
BEGAN = 1767225602.0  # 2026-01-01T00:00:02Z


def life(**seconds: float) -> dict[str, float]:
    return {"asked": BEGAN} | {name.replace("_", " "): BEGAN + after for name, after in seconds.items()}


def test_a_nodes_log_tells_when_the_sandbox_and_the_container_of_this_pod_were_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    assert nodelog.moments([tmp_path / "log"], "a-session") == {"sandbox asked": BEGAN, "sandbox": BEGAN + 0.25, "started": BEGAN + 0.75}
    assert nodelog.moments([tmp_path / "log"], "nobody") == {}
    assert nodelog.moments([], "a-session") == {}, "elsewhere there is no such log"


def test_parts_are_medians_and_a_part_that_nobody_saw_is_left_out() -> None:
    lives = [life(claim=0.1, pod=0.2), life(claim=0.1, pod=0.5), life(claim=0.1, pod=0.3)]
    assert timeline.medians(lives) == {"claim created → pod created": pytest.approx(200)}


def test_the_parts_of_a_session_follow_on_each_other_without_a_gap() -> None:
    ours = [(first, last) for _, first, last in timeline.PARTS if last != "answers"]
    assert ours[0][0] == "asked"
    assert ours[-1][1] == "seen"
    assert [first for first, _ in ours[1:]] == [last for _, last in ours[:-1]]


@pytest.mark.parametrize(("seen", "met"), [(1.9, (True, False)), (2.1, (False, False)), (1.5, (True, True))])
def test_the_goals_are_two_seconds_and_less_than_double_a_bare_pod(seen: float, met: tuple[bool, bool]) -> None:
    lives = {
        "session Immediate": [life(seen=seen)],
        "bare Immediate": [life(answers=1.0, ready=1.2)],
        "bare": [life(answers=0.9, ready=1.1)],
    }
    figures = report.figures(lives)
    assert (figures[0].met, figures[1].met) == met
    assert figures[1].ours == pytest.approx(seen / 1.0)
    assert [figure.met for figure in figures[2:]] == [None, None, None]


def test_the_page_gets_both_tables_between_its_marks() -> None:
    lives = {"session Immediate": [life(stored=0.1, seen=1.5)], "bare Immediate": [life(answers=1.0, ready=1.2)]}
    page = report.into_page(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", lives, "a machine")
    assert page.startswith(f"before\n{report.BEGIN}\na machine\n")
    assert page.endswith(f"{report.END}\nafter\n")
    assert "old" not in page
    assert re.search(r"^\| object stored, seen on a watch +\| 100 ", page, re.MULTILINE)
    with pytest.raises(ValueError, match="needs the lines"):
        report.into_page("no marks", lives, "")


def test_a_bare_pod_is_the_sessions_pod_with_another_command() -> None:
    probes = {probe: {"httpGet": {"path": "/readyz", "port": "http"}} for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    template = {"containers": [{"name": "session", "image": "i", "resources": {"limits": {"memory": "1Mi"}}, **probes}]}
    spec = bare_spec(template, "claim")
    assert spec["containers"][0]["command"] == SERVE
    assert spec["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/"
    assert spec["containers"][0]["resources"] == template["containers"][0]["resources"]
    assert spec["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}]
    assert bare_spec(template, None)["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert "command" not in template["containers"][0]
