"""The Kubernetes manifests: what one names is there in another, every pod is as restricted as can be, and its command works.

No cluster is needed. Where there is kubectl, the manifests are also built as kustomize builds them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.read_only import read_only

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "deploy" / "kustomize"
DOCKERFILE = ROOT / "examples" / "deploy" / "Dockerfile"
WAYS = ["watch", "schedule", "shards"]
SHARED = yaml.safe_load((FOLDER / "common" / "kustomization.yaml").read_text())
NAMES = ["domain_dga", "login_odds", "login_profile", "login_risk"]


def documents(folder):
    """The resources that a kustomization lists, and its own settings."""
    settings = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
    listed = [yaml.safe_load((FOLDER / folder / name).read_text()) for name in settings["resources"]]
    return settings, listed


def workload(way):
    _, [resource] = documents(way)
    return resource


def template(resource):
    spec = resource["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]


def pod(way):
    return template(workload(way))["spec"]


def containers(way):
    spec = pod(way)
    return [*spec["initContainers"], *spec["containers"]]


def main_container(way):
    [container] = pod(way)["containers"]
    return container


@pytest.mark.parametrize("folder", [*WAYS, "common"])
def test_every_file_is_listed_once(folder):
    settings, _ = documents(folder)
    files = {path.name for path in (FOLDER / folder).iterdir()} - {"kustomization.yaml"}
    assert sorted(settings["resources"]) == sorted(files)
    assert settings.get("components", []) == ([] if folder == "common" else ["../common"])


@pytest.mark.parametrize("way", WAYS)
def test_what_a_pod_names_is_there(way):
    _, shared = documents("common")
    made = {each["name"] for each in SHARED["configMapGenerator"]}
    volumes = {each["name"]: each for each in pod(way)["volumes"]}
    assert pod(way)["serviceAccountName"] in {each["metadata"]["name"] for each in shared}
    mounted = {mount["name"] for container in containers(way) for mount in container["volumeMounts"]}
    assert mounted == volumes.keys()
    for container in containers(way):
        for source in container["envFrom"]:
            if "configMapRef" in source:
                assert source["configMapRef"]["name"] in made
        for each in container.get("env", []):
            assert each["name"].startswith("MMSYNC_")
    images = {each["name"]: each for each in SHARED["images"]}
    assert main_container(way)["image"] in images


@pytest.mark.parametrize("way", WAYS)
def test_secrets_are_referred_to_and_never_written(way):
    texts = [path.read_text() for path in FOLDER.rglob("*.yaml")]
    assert not [text for text in texts if re.search(r"kind: Secret\b|secretGenerator|stringData", text)]
    assert "MMSYNC_TOKEN" not in {each["name"] for each in main_container(way)["env"]}
    [file] = [each["value"] for each in main_container(way)["env"] if each["name"] == "MMSYNC_TOKEN_FILE"]
    [mount] = [each for each in main_container(way)["volumeMounts"] if each["name"] == "token"]
    [volume] = [each["secret"] for each in pod(way)["volumes"] if each["name"] == "token"]
    assert file == f"{mount['mountPath']}/{volume['items'][0]['path']}"
    assert volume["defaultMode"] & 0o007 == 0  # else mmsync warns of it


@pytest.mark.parametrize("way", WAYS)
def test_a_pod_is_restricted_as_the_pod_security_standard_asks(way):
    context = pod(way)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    [user] = re.findall(r"^USER (\d+):\d+$", DOCKERFILE.read_text(), re.MULTILINE)
    assert context["runAsUser"] == context["fsGroup"] == int(user)
    assert pod(way)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod(way).keys()
    assert not [volume for volume in pod(way)["volumes"] if "hostPath" in volume]
    for container in containers(way):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}
        assert not container["image"].endswith((":latest", ":main"))
        assert all("hostPort" not in port for port in container.get("ports", []))


@pytest.mark.parametrize("way", WAYS)
def test_what_mmsync_writes_to_is_the_volume_of_the_image_and_nothing_else(way):
    [volume] = re.findall(r"^VOLUME (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    writable = [mount["mountPath"] for mount in main_container(way)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == [volume]


def test_pods_are_alike_in_all_but_what_they_run():
    def shape(way):
        spec = {key: value for key, value in pod(way).items() if key != "restartPolicy"}
        kept = ("name", "image", "envFrom", "securityContext", "resources", "volumeMounts")
        for kind in ("initContainers", "containers"):
            spec[kind] = [{key: container[key] for key in kept} for container in spec[kind]]
        return spec

    assert shape("watch") == shape("schedule") == shape("shards")


def test_two_watchers_never_run_at_a_time_nor_two_scheduled_applies():
    watch = workload("watch")["spec"]
    assert (watch["replicas"], watch["strategy"]) == (1, {"type": "Recreate"})
    assert workload("schedule")["spec"]["concurrencyPolicy"] == "Forbid"
    assert pod("watch")["terminationGracePeriodSeconds"] > 13  # 10 seconds of grace, and what is broken off after it


def test_selectors_meet_the_pods():
    [labels] = SHARED["labels"]
    assert labels["includeSelectors"] is True
    wanted = workload("watch")["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= template(workload("watch"))["metadata"]["labels"].items()
    components = [template(workload(way))["metadata"]["labels"]["app.kubernetes.io/component"] for way in WAYS]
    assert len(set(components)) == len(WAYS)
    _, shared = documents("common")
    [policy] = [each for each in shared if each["kind"] == "NetworkPolicy"]
    # Written out: kustomize leaves an empty one as it is, and that would mean every pod of the namespace.
    assert policy["spec"]["podSelector"] == {"matchLabels": labels["pairs"]}
    assert policy["spec"]["ingress"] == []


def test_there_are_as_many_shards_as_pods():
    spec = workload("shards")["spec"]
    assert spec["completionMode"] == "Indexed"
    [count] = [each["value"] for each in main_container("shards")["env"] if each["name"] == "MMSYNC_SHARD_COUNT"]
    assert int(count) == spec["completions"] == spec["maxFailedIndexes"]
    assert spec["backoffLimitPerIndex"] > 0


@pytest.mark.parametrize("way", WAYS)
def test_mmsync_reads_the_manifest_that_git_sync_publishes(way):
    git_sync, *_ = pod(way)["initContainers"]
    flags = dict(each.removeprefix("--").partition("=")[::2] for each in git_sync["args"])
    published = f"{flags['root']}/{flags['link']}"
    assert f"{published}/models.yaml" in main_container(way)["args"]
    assert ("one-time" in flags) is (git_sync.get("restartPolicy") != "Always") is (way != "watch")


@pytest.mark.parametrize("way", WAYS)
def test_kustomize_builds_it(way):
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    built = subprocess.run(
        ["kubectl", "kustomize", FOLDER / way], capture_output=True, text=True, timeout=60, check=False
    )
    assert (built.returncode, built.stderr) == (0, "")
    resources = list(yaml.safe_load_all(built.stdout))
    names = {(each["kind"], each["metadata"]["name"]) for each in resources}
    [resource] = [each for each in resources if each["kind"] == workload(way)["kind"]]
    assert template(resource)["metadata"]["labels"]["app.kubernetes.io/name"] == "mmsync"
    spec = template(resource)["spec"]
    for container in [*spec["initContainers"], *spec["containers"]]:
        assert ":" in container["image"]
        for source in container["envFrom"]:
            if "configMapRef" in source:
                assert ("ConfigMap", source["configMapRef"]["name"]) in names
    assert all(each["metadata"]["labels"]["app.kubernetes.io/name"] == "mmsync" for each in resources)


@pytest.fixture
def run(tmp_path, server):
    """Run what a pod runs, on a repository as git-sync publishes it: a link to a folder named by a commit."""
    published = tmp_path / "models"
    shutil.copytree(ROOT / "examples" / "quickstart", published / ".worktrees" / ("a" * 40))
    (published / "current").symlink_to(Path(".worktrees", "a" * 40))
    token, state = tmp_path / "token", tmp_path / "state"
    token.write_text(server.token)
    token.chmod(0o440)
    state.mkdir()
    starter = read_only(state)

    def start(way, *more, **variables):
        given = {each["name"]: each["value"] for each in main_container(way)["env"]} | variables
        environment = {
            "PATH": "/usr/bin:/bin",
            "MMSYNC_URL": server.url,
            "MMSYNC_CACHE_DIR": str(state / "ledger"),
            "MMSYNC_LOCK_DIR": str(state / "locks"),
            **given,
            "MMSYNC_TOKEN_FILE": str(token),
        }
        words = [
            word.replace("/models/", f"{published}/").replace("0.0.0.0:8787", "127.0.0.1:0")
            for word in main_container(way)["args"]
        ]
        words = [re.sub(r"\$\((\w+)\)", lambda match: given[match[1]], word) for word in words]
        program = str(Path(sys.executable).with_name("mmsync"))
        return subprocess.run(
            [*starter, program, *words, *more],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start


@pytest.mark.parametrize(("way", "more"), [("watch", ["--once", "--settle", "0.2"]), ("schedule", [])])
def test_what_a_pod_runs_brings_the_models_to_the_server(way, more, run, server):
    ran = run(way, *more)
    assert ran.returncode == 0, ran.stderr
    assert server.names() == NAMES


def test_the_pods_of_the_indexed_job_bring_each_model_once(run, server):
    added = 0
    for index in range(workload("shards")["spec"]["completions"]):
        ran = run("shards", JOB_COMPLETION_INDEX=str(index))
        assert ran.returncode == 0, ran.stderr
        before, added = added, len(server.names())
        assert f"{added - before} added" in ran.stdout or added == before
    assert server.names() == NAMES
