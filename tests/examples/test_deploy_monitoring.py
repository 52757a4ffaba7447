"""The alerts and the dashboard: well formed, about metrics that there are, and firing when they should.

Prometheus' own ``promtool`` looks at them too where there is one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from mmsync.status import Status, Totals
from mmsync.status.metrics import exposition

FOLDER = Path(__file__).parents[2] / "examples" / "deploy" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
VARIABLES = {"$__rate_interval": "5m", "$instance": ".+"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian has it in the package prometheus)"
)


def panel_expressions():
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def every_expression():
    return [rule["expr"] for rule in RULES] + panel_expressions()


def promtool(*arguments, folder=FOLDER):
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_every_alert_says_what_is_wrong_and_where_to_look():
    for rule in RULES:
        assert re.fullmatch(r"Mmsync[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not():
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for rule in RULES:
        assert {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]} == {True, False}


def test_the_configuration_names_the_files_beside_it():
    settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert settings["rule_files"] == ["alerts.yml"]
    [job] = settings["scrape_configs"]
    assert job["job_name"] == "mmsync"
    for rule in RULES:
        assert 'job="' not in rule["expr"] or 'job="mmsync"' in rule["expr"]


def test_the_dashboard_has_one_place_for_each_panel_and_asks_the_chosen_source():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["targets"]
        assert {each["datasource"]["uid"] for each in [panel, *panel["targets"]]} == {"${datasource}"}
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}


def test_every_expression_of_the_dashboard_is_about_the_chosen_instances():
    for expression in panel_expressions():
        metrics = len(re.findall(r"mmsync_\w+", expression))
        assert expression.count('{instance=~"$instance"') == metrics, expression


@pytest.fixture(scope="module")
def samples():
    """Every sample that mmsync tells, by its name: the labels it has, each with its values."""
    totals = Totals(reconciles={"changed": 1}, seconds={1.0: 1, float("inf"): 0}, seconds_sum=0.5)
    text, _ = exposition(Status("0", 1.0, 2.0, 1, "ok", totals=totals))
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


@pytest.mark.parametrize("expression", sorted(set(every_expression())))
def test_every_metric_label_and_value_that_is_asked_for_is_one_that_mmsync_tells(expression, samples):
    asked = re.findall(r"\b(mmsync_\w+)(?:\{([^}]*)\})?", expression)
    assert asked or "up{" in expression
    for name, matchers in asked:
        assert name in samples
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', matchers):
            if label not in ("job", "instance"):
                for one in value.split("|") if operator == "=~" else [value]:
                    assert one in samples[name][label], f"{name} has no {label} {one!r}"
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.findall(r"\w+", labels):
            assert label in ("job", "instance") or any(label in samples[name] for name, _ in asked)


def test_every_state_level_and_result_has_its_colour(samples):
    coloured = {
        override["matcher"]["options"]
        for panel in DASHBOARD["panels"]
        for override in panel["fieldConfig"]["overrides"]
    }
    for name, label in (
        ("mmsync_models", "state"), ("mmsync_conditions", "level"), ("mmsync_reconciles_total", "result"),
    ):  # fmt: skip
        assert samples[name][label] <= coloured


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules():
    for arguments in (("check", "config", "prometheus.yml"), ("check", "rules", "--lint-fatal", "alerts.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_alerts_fire_when_they_should():
    done = promtool("test", "rules", "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_their_tests_see_a_rule_that_never_fires(tmp_path, rule):
    shutil.copy(FOLDER / "alerts_test.yml", tmp_path)
    rules = [{**each, "expr": f"({each['expr']}) < -1"} if each is rule else each for each in RULES]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "mmsync", "rules": rules}]}))
    done = promtool("test", "rules", "alerts_test.yml", folder=tmp_path)
    assert done.returncode == 1
    assert rule["alert"] in done.stdout + done.stderr


@needs_promtool
def test_every_expression_of_the_dashboard_is_one(tmp_path):
    rules = []
    for number, expression in enumerate(panel_expressions()):
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)  # noqa: PLW2901 - as Grafana fills it in
        rules.append({"record": f"panel:{number}", "expr": expression})
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", "panels.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
