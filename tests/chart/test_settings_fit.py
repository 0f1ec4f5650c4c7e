"""What the chart renders is what operator and facade read: the schema lets nothing through that they would refuse."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.chart.conftest import Render, Rendering

import wasession_api.settings
import wasession_operator.settings

pytestmark = pytest.mark.integration


def environment(rendering: Rendering, component: str, directory: Path) -> dict[str, str]:
    """The container's environment, with the files that it names in `directory` in the place of the mounted ones."""
    env = rendering.env(component)
    secrets = {secret["metadata"]["name"]: secret["data"]["key"] for secret in rendering.all("Secret")}
    files = {
        "WASESSION_INTERNAL_KEY_FILE": ("internal-key", secrets.get("wa-internal-key", "k" * 32)),
        "WASESSION_API_KEY_FILE": ("api-key", secrets.get("wa-api-key", "k" * 32)),
        "WASESSION_POD_TEMPLATE": ("template.yaml", rendering.all("ConfigMap")[0]["data"]["template.yaml"]),
    }
    for variable in files.keys() & env.keys():
        name, content = files[variable]
        (directory / name).write_text(content, encoding="utf-8")
        env[variable] = str(directory / name)
    return env


LEAST = ["settings.maxSessions=1", "settings.maxReconnectAttempts=0", "settings.sessionTimeout=1", "settings.cleanupInterval=100"]
LEAST += ["operator.rollout.maxUnavailable=1", "operator.rollout.progressDeadlineSeconds=1", "operator.startup.sessionsPerSecond=0"]
MOST = [
    "settings.maxSessions=1000000",
    "settings.maxReconnectAttempts=1000",
    "settings.sessionTimeout=31536000000",
    "settings.cleanupInterval=2147483647",
    f'settings.botName="{"n" * 64}"',
    "operator.rollout.maxUnavailable=1000000",
    "operator.rollout.progressDeadlineSeconds=2147483647",
    "operator.startup.sessionsPerSecond=10000",
    'operator.logFormat="text"',
    'operator.logLevel="error"',
]


@pytest.mark.parametrize("settings", [[], LEAST, MOST, ['settings.apiUrl=""', "api.auth.enabled=false"]])
@pytest.mark.parametrize("values", [None, "everything", "cluster-wide"])
def test_operator_and_facade_take_whatever_the_schema_takes(
    render: Render, tmp_path: Path, settings: list[str], values: str | None
) -> None:
    rendering = render(*settings, values=values)
    operator = wasession_operator.settings.load(environment(rendering, "operator", tmp_path))
    api = wasession_api.settings.load(tmp_path, environment(rendering, "api", tmp_path))
    assert operator.internal_key == api.internal_key
    assert operator.max_sessions == api.max_sessions
    assert operator.backend_url == api.api_url
    assert operator.device_name == api.bot_name
    assert not operator.namespaces or api.namespace in operator.namespaces
    assert (api.api_key is None) == ("api.auth.enabled=false" in settings)


def test_cluster_wide_is_no_list_of_namespaces(render: Render, tmp_path: Path) -> None:
    def namespaces(*settings: str) -> tuple[str, ...]:
        return wasession_operator.settings.load(environment(render(*settings), "operator", tmp_path)).namespaces

    assert namespaces() == ("whatsapp",)
    assert namespaces('scope.namespaces=["team-a","team-b"]') == ("team-a", "team-b")
    assert namespaces("scope.clusterWide=true") == ()


def test_ports_are_those_that_the_programs_listen_on(render: Render, tmp_path: Path) -> None:
    rendering = render()

    def ports(component: str) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in rendering.container(component)["ports"]}

    operator = wasession_operator.settings.load(environment(rendering, "operator", tmp_path))
    api = wasession_api.settings.load(tmp_path, environment(rendering, "api", tmp_path))
    assert ports("operator") == {"probes": operator.probe_port, "metrics": operator.metrics_port}
    assert ports("api") == {"http": api.ws_port}


def test_every_setting_of_the_chart_is_one_that_the_programs_know(render: Render, tmp_path: Path) -> None:
    """A variable whose name is mistyped would be read by nobody: each is taken away once, and must be missed."""
    for component, load in (
        ("operator", wasession_operator.settings.load),
        ("api", lambda env: wasession_api.settings.load(tmp_path, env)),
    ):
        env = environment(render(values="everything"), component, tmp_path)
        whole = msgspec.to_builtins(load(env), enc_hook=repr)
        for variable in set(env) - {"LOG_LEVEL", "WASESSION_PROBE_PORT", "WASESSION_METRICS_PORT", "WS_PORT"}:
            assert differs(load, {key: value for key, value in env.items() if key != variable}, whole), (
                f"{component} does not read {variable}"
            )


def differs(load: Any, env: dict[str, str], whole: object) -> bool:  # noqa: ANN401  either loader
    """Whether `env` is refused or read otherwise than `whole`."""
    try:
        return bool(msgspec.to_builtins(load(env), enc_hook=repr) != whole)
    except (wasession_operator.settings.SettingError, wasession_api.settings.SettingError):
        return True


def test_the_pod_template_is_one_that_the_operator_takes(render: Render) -> None:
    for rendering in (render(), render(values="everything"), render(values="cluster-wide")):
        document = yaml.safe_load(rendering.all("ConfigMap")[0]["data"]["template.yaml"])
        assert wasession_operator.settings.Template.read(document).spec["containers"][0]["name"] == "session"
