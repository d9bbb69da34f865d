"""What we ship for running calbridge says what is so: its commands, ports, paths, settings and figures exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.cli import main
from app.config import Config, Server, parse
from bridges.model import CalendarRef, Kind
from tests.campus import browser, open_campus

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "app" / "deploy"
FIGURE = re.compile(r"calbridge_[a-z_]+")
UNITS = ("calbridge.service", "calbridge-worker@.service")
COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all(text(name)))


def require_command(words: list[str]) -> None:
    """`calbridge` with these words would start."""
    found: click.Command = main
    while words and isinstance(found, click.Group) and not words[0].startswith("-"):
        assert words[0] in found.commands, f"there is no command {words[0]}"
        found, words = found.commands[words[0]], words[1:]
    found.make_context("calbridge", list(words))


class TestSystemd:
    @pytest.mark.parametrize("unit", UNITS)
    def test_its_command_exists(self, unit: str) -> None:
        [command] = re.findall(r"^ExecStart=/opt/calbridge/bin/calbridge (.*)$", text(unit), re.MULTILINE)
        require_command(shlex.split(command))

    @pytest.mark.parametrize("unit", UNITS)
    def test_systemd_takes_it_and_finds_it_closed(self, unit: str, tmp_path: Path) -> None:
        """1.5 of 10 is what systemd calls well protected; 0.2 for a filter that a later systemd may add."""
        program = shutil.which("systemd-analyze")
        assert program, "this test needs systemd: apt-get install systemd"
        here = Path(sys.executable).parent / "calbridge"
        (tmp_path / unit).write_text(text(unit).replace("/opt/calbridge/bin/calbridge", str(here)))
        run = {"capture_output": True, "text": True, "timeout": 60, "check": False}
        said = subprocess.run([program, "verify", "--man=no", str(tmp_path / unit)], **run)  # type: ignore[call-overload]
        assert (said.returncode, said.stderr) == (0, "")
        said = subprocess.run([program, "security", "--offline=true", "--threshold=17", str(tmp_path / unit)], **run)  # type: ignore[call-overload]
        assert said.returncode == 0, said.stdout

    def test_both_run_as_the_same_and_differ_only_in_what_they_do(self) -> None:
        web, worker = ([line for line in text(unit).splitlines() if not line.startswith("#")] for unit in UNITS)
        keys = {line.partition("=")[0] for line in set(web) ^ set(worker)}
        assert keys == {"Description", "ExecStart", "TimeoutStopSec"}

    def test_its_credentials_are_found_under_the_names_that_it_tells(self, tmp_path: Path) -> None:
        """LoadCredential= of a folder puts its own name before each file's (systemd.exec(5))."""
        assert "LoadCredential=calbridge:/etc/calbridge/secrets" in text(UNITS[0])
        [example] = re.findall(r"key = \{ credential = \"store-key\" \}", text(UNITS[0]))
        (tmp_path / "calbridge_store-key").write_text("k" * 43 + "=\n")
        config = parse(f"store.{example}", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert config.store.key.get_secret_value() == "k" * 43 + "="


class TestTheImage:
    def lines(self, word: str) -> list[str]:
        joined = text("Containerfile").replace("\\\n", " ")
        return [line.removeprefix(word).strip() for line in joined.splitlines() if line.startswith(f"{word} ")]

    def test_what_it_copies_is_there_and_is_all_that_an_installation_needs(self) -> None:
        copied = [words.split()[:-1] for words in self.lines("COPY") if "--from" not in words]
        names = {Path(name).name for words in copied for name in words}
        assert all((ROOT / name).exists() for name in names)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        packages = {each.rstrip("*") for each in project["tool"]["setuptools"]["packages"]["find"]["include"]}
        modules = {f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]}
        assert names == packages | modules | {"pyproject.toml", project["project"]["readme"]}

    def test_the_extras_that_it_installs_exist(self) -> None:
        [extras] = re.findall(r"'\.\[(.*)\]'", text("Containerfile"))
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])

    def test_what_it_starts_exists_and_it_is_nobody_in_particular(self) -> None:
        [entry], [command] = self.lines("ENTRYPOINT"), self.lines("CMD")
        assert json.loads(entry) == ["calbridge"]
        require_command(json.loads(command))
        assert self.lines("USER") == ["10001:10001"]

    def test_its_health_is_asked_where_it_listens(self) -> None:
        [check] = self.lines("HEALTHCHECK")
        command = json.loads(check.partition("CMD")[2])
        compile(command[2], "health", "exec")
        assert f"127.0.0.1:{Server().port}/readyz" in command[2]
        assert self.lines("EXPOSE") == [str(Server().port)]


def secrets_of(folder: Path) -> Config:
    """The shipped settings, with secrets where compose and Kubernetes lay them."""
    (folder / "store-url").write_text("postgresql+psycopg://calbridge:word@postgres/calbridge\n")
    (folder / "store-key").write_text("k" * 43 + "=\n")
    return parse(text("settings.toml").replace("/run/secrets", str(folder)), {})


@pytest.fixture(scope="module")
def compose() -> Any:
    [found] = documents("compose.yaml")
    return found


class TestCompose:
    def test_the_settings_that_it_mounts_can_be_used(self, compose: Any, tmp_path: Path) -> None:
        config = secrets_of(tmp_path)
        assert config.server.proxies == (compose["networks"]["default"]["ipam"]["config"][0]["subnet"],)
        assert "./settings.toml:/etc/calbridge/config.toml:ro" in compose["services"]["web"]["volumes"]
        assert "CALBRIDGE_CONFIG=/etc/calbridge/config.toml" in text("Containerfile")

    def test_the_lms_that_it_leaves_open_can_be_used_too(self, tmp_path: Path) -> None:
        written = text("settings.toml").replace("/run/secrets", str(tmp_path))
        lines = written.partition("# [lms")
        example = "".join(line.removeprefix("# ") + "\n" for line in (lines[1] + lines[2]).splitlines())
        for name in ("store-url", "store-key", "learn"):
            (tmp_path / name).write_text("k" * 43 + "=")
        assert set(parse(lines[0] + example, {}).connections) == {"learn"}

    def test_its_commands_exist(self, compose: Any) -> None:
        for name in ("migrate", "web", "worker"):
            require_command(list(compose["services"][name]["command"]))

    def test_whatever_is_ours_is_read_only_and_without_rights(self, compose: Any) -> None:
        for name in ("migrate", "web", "worker"):
            service = compose["services"][name]
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["user"] == "10001:10001"

    def test_everybody_waits_for_what_they_need_and_what_they_need_exists(self, compose: Any) -> None:
        services = compose["services"]
        assert set(services) == {"migrate", "web", "worker", "postgres", "redis", "nginx"}
        for service in services.values():
            for other, how in service.get("depends_on", {}).items():
                healthy = how["condition"] == "service_healthy"
                assert not healthy or "healthcheck" in services[other] or other == "web", "web's is the image's own"
            assert set(service.get("secrets", [])) <= set(compose["secrets"])

    def test_its_nginx_gets_our_file_with_its_own_upstream(self, compose: Any) -> None:
        """The very command, up to where it would start nginx."""
        shell = compose["services"]["nginx"]["command"][-1].partition("&& exec")[0]
        shell = shell.replace("/calbridge.conf >/etc/nginx/conf.d/calbridge.conf", str(DEPLOY / "nginx.conf"))
        made = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, timeout=20).stdout
        assert f"server web:{Server().port};" in made
        assert "/var/log" not in made


@pytest.fixture(scope="module")
def pods() -> dict[str, Any]:
    found = [each for each in documents("kubernetes.yaml") if each["kind"] == "Deployment"]
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in found}


def containers(pods: dict[str, Any]) -> Iterator[Any]:
    for pod in pods.values():
        yield from [*pod.get("initContainers", []), *pod["containers"]]


class TestKubernetes:
    def test_its_commands_exist(self, pods: dict[str, Any]) -> None:
        for container in containers(pods):
            require_command(list(container["args"]))

    def test_no_container_may_do_anything_special(self, pods: dict[str, Any]) -> None:
        for container in containers(pods):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}
        assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods.values())

    def test_what_is_mounted_is_there_and_where_the_settings_look_for_it(self, pods: dict[str, Any]) -> None:
        for pod in pods.values():
            volumes = {volume["name"] for volume in pod["volumes"]}
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
                assert set(mounts) == volumes
                assert mounts["secrets"] == "/run/secrets"
        assert "/run/secrets/store-url" in text("settings.toml")

    def test_its_probes_ask_what_we_answer(self, pods: dict[str, Any], tmp_path: Path) -> None:
        [web] = pods["calbridge-web"]["containers"]
        assert web["ports"] == [{"name": "http", "containerPort": Server().port}]
        client = browser(open_campus(tmp_path))
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert client.get(web[probe]["httpGet"]["path"]).status_code == 200

    def test_services_find_their_pods(self) -> None:
        kinds = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in documents("kubernetes.yaml")}
        labels = kinds["Deployment", "calbridge-web"]["template"]["metadata"]["labels"]
        assert kinds["Service", "calbridge"]["selector"] == labels
        assert kinds["PodDisruptionBudget", "calbridge-web"]["selector"]["matchLabels"] == labels


def test_an_installation_has_them_all() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "deploy/*" in project["tool"]["setuptools"]["package-data"]["app"]
    assert {each.name for each in resources.files("app").joinpath("deploy").iterdir()} == {
        *UNITS,
        *("Containerfile", "compose.yaml", "kubernetes.yaml", "settings.toml", "nginx.conf"),
        *("alerts.yaml", "grafana-dashboard.json"),
    }
