"""Shards by index and count, as Kubernetes' indexed jobs and CI matrices name them: the same as ``--shard I/N``."""

from __future__ import annotations

import json

import pytest

PAIR = ("--shard-index", "2", "--shard-count", "3")


@pytest.fixture
def many(desk):
    desk.file("a.json", b"{}")
    desk.manifest("\n".join(f"m{number} BIGML a.json" for number in range(12)))
    return desk


def document(desk, *words):
    ran = desk("plan", "--format", "json", *words)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (PAIR, {}),
        ((), {"MMSYNC_SHARD_INDEX": "2", "MMSYNC_SHARD_COUNT": "3"}),
        ((), {"JOB_COMPLETION_INDEX": "2", "MMSYNC_SHARD_COUNT": "3"}),
        (("--shard-count", "3"), {"JOB_COMPLETION_INDEX": "2"}),
        (PAIR[:2], {"MMSYNC_SHARD_INDEX": "0", "MMSYNC_SHARD_COUNT": "3", "JOB_COMPLETION_INDEX": "1"}),
        (("--shard", "3/3", *PAIR), {}),
        ((), {"MMSYNC_SHARD": "3/3", "MMSYNC_SHARD_COUNT": "3", "JOB_COMPLETION_INDEX": "2"}),
    ],
)
def test_they_mean_exactly_what_the_other_way_means(many, words, variables):
    expected = document(many, "--shard", "3/3")
    for name, value in variables.items():
        many.environment.setenv(name, value)
    assert document(many, *words) == expected
    assert 0 < len(expected["changes"]) < 12


def test_the_shards_are_disjoint_and_cover_all(many):
    shards = [document(many, "--shard-index", str(n), "--shard-count", "5")["changes"] for n in range(5)]
    names = [change["name"] for shard in shards for change in shard]
    assert sorted(names) == sorted(f"m{number}" for number in range(12))


def test_the_index_of_a_job_alone_selects_nothing(many):
    many.environment.setenv("JOB_COMPLETION_INDEX", "not of ours")
    assert len(document(many)["changes"]) == 12


@pytest.mark.parametrize(
    ("words", "variables", "error"),
    [
        (PAIR[:2], {}, "--shard-index needs --shard-count beside it: give both, or --shard I/N alone"),
        (PAIR[2:], {}, "--shard-count needs --shard-index beside it: give both, or --shard I/N alone"),
        (("--shard", "1/3"), {"MMSYNC_SHARD_COUNT": "3"}, "MMSYNC_SHARD_COUNT needs --shard-index beside it"),
        ((), {"MMSYNC_SHARD_INDEX": "0"}, "MMSYNC_SHARD_INDEX needs --shard-count beside it"),
        (
            ("--shard-index", "3", "--shard-count", "3"),
            {},
            "shard index 3: of 3 shards the first is 0, the last 2 (--shard counts from 1)",
        ),
        (
            ("--shard", "2/3", *PAIR),
            {},
            "--shard 2/3 and shard index 2 of 3, which is 3/3, contradict each other: give one of them",
        ),
        (PAIR, {"MMSYNC_SHARD": "3/4"}, "MMSYNC_SHARD 3/4 and shard index 2 of 3, which is 3/3, contradict"),
        (("--shard", "1/8"), {"MMSYNC_SHARD_COUNT": "8", "JOB_COMPLETION_INDEX": "5"}, "--shard 1/8 and shard index 5"),
        (("--shard-count", "3"), {"JOB_COMPLETION_INDEX": "1e0"}, "JOB_COMPLETION_INDEX is '1e0', not a number from 0"),
        (("--shard-count", "3"), {"JOB_COMPLETION_INDEX": "9" * 5000}, "JOB_COMPLETION_INDEX is '999"),
        (("--shard-index", "-1", "--shard-count", "3"), {}, "Invalid value for '--shard-index'"),
        (("--shard-index", "0", "--shard-count", "0"), {}, "Invalid value for '--shard-count'"),
        (("--shard-index", "", "--shard-count", "3"), {}, "Invalid value for '--shard-index'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_half_of_a_pair_or_two_ways_that_differ_are_a_mistake(many, command, words, variables, error):
    for name, value in variables.items():
        many.environment.setenv(name, value)
    ran = many(command, *words)
    assert ran.code == 1
    assert ran.err.startswith(f"Error: {error}"), ran.err
    assert many.view.names() == []


def test_a_saved_plan_and_a_digest_are_those_of_the_other_way(many):
    assert many("plan", "--out", "plan.json", *PAIR).code == 0
    digest = json.loads((many.folder / "plan.json").read_text())["digest"]
    assert many("apply", "plan.json", *PAIR).code == 1  # as with --shard: it brings its own
    assert many("apply", "--expect", digest, "--shard", "2/3").code == 1
    assert many("apply", "--expect", digest, "--shard", "3/3").code == 0
    before = many.view.names()
    assert 0 < len(before) < 12
    assert many("apply", "plan.json").code == 1  # stale: it is done


def test_a_saved_plan_of_a_shard_is_locked_as_that_shard(many):
    from mmsync.cli.settings import lock_folder
    from mmsync.lock import server_lock
    from mmsync.types import ServerName

    assert many("plan", "--out", "plan.json", *PAIR).code == 0
    with server_lock(lock_folder(), ServerName(many.url), timeout=0, on_wait=lambda _: None, shard=(1, 3)):
        assert many("apply", "--lock-timeout", "0").code == 1
        assert many("apply", "plan.json", "--lock-timeout", "0").code == 0
    assert len(many.view.names()) == len(json.loads((many.folder / "plan.json").read_text())["changes"])


@pytest.mark.parametrize("command", ["list", "plan", "apply"])
def test_whatever_knows_the_other_way_knows_these(many, command):
    assert many("apply").code == 0
    assert many(command, *PAIR).out == many(command, "--shard", "3/3").out
