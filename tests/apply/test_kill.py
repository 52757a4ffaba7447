"""Killed at any instant, apply leaves old or new of each model, never half, and the next run does what was missing.

MMSYNC_LONG=1 runs a hundred rounds instead of six and prints what they saw.
"""

from __future__ import annotations

import base64
import os
import random
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.applying import Site, View, json_bytes, sha256
from support.server_process import TOKEN, server_process

MODELS = 30
LONG = bool(os.environ.get("MMSYNC_LONG"))
ROUNDS = 100 if LONG else 6


def bigml(number, generation):
    """Inputs, output type and description tell the generation: half an update shows in any of them."""
    document = f"""{{"object": {{"objective_field": "2", "model": {{"fields": {{
        "1": {{"name": "amount", "optype": "numeric"}},
        "g{generation}": {{"name": "generation_{generation}", "optype": "numeric"}},
        "2": {{"name": "fraud", "optype": "categorical"}}}}}}}}, "n": "{number} {generation} {"x" * 20_000}"}}"""
    return document.encode()


def edit(site, generation):
    for number in range(MODELS):
        site.model(f"m{number:02}", bigml(number, generation), description=f"generation {generation}")
        site.entries[f"m{number:02}"]["allow_signature_change"] = True
    return site.digests()


def check(view, wanted, generation):
    """Every model is wholly of this generation or of the one before; return how many are of this one."""
    new = 0
    names = view.names()
    assert names == sorted(wanted) or generation == 0
    with ThreadPoolExecutor(8) as pool:  # each answer comes late
        details = list(pool.map(lambda name: view.detail(name, fast=False), names))
    for name, detail in zip(names, details, strict=True):
        digest = sha256(base64.b64decode(detail["image"]["image"]))
        inputs = [field["name"] for field in detail["fields"]]
        is_new = digest == wanted[name]
        shown = generation if is_new else generation - 1
        assert digest in (wanted[name], sha256(bigml(int(name[1:]), generation - 1)))
        assert detail["description"] == f"generation {shown}"
        assert inputs == ["amount", f"generation_{shown}"]
        assert (detail["outputType"], detail["category"], detail["hidden"]) == ("str", "Multinomial", False)
        new += is_new
    return new


def images(folder):
    with sqlite3.connect(f"file:{folder}/mmsync-server.db?mode=ro", uri=True) as database:
        (count,) = database.execute("SELECT count(*) FROM images").fetchone()
    database.close()
    return count


def settled(view, folder):
    """Wait until the server has finished what the dead client had sent: two looks apart agree."""
    looks = [None]
    while len(looks) < 2 or looks[-1] != looks[-2]:
        looks.append((images(folder), [(row["name"], row["imageId"]) for row in view.rows()]))
        time.sleep(0.1)


def files(folder):
    """How many uploads the server has in hand or has taken."""
    return sum(1 for place in ("images", "incoming") for _ in (folder / place).iterdir())


@pytest.mark.timeout(1800 if LONG else 120)
def test_killed_at_any_instant(tmp_path, capsys):
    moments = random.Random(4)
    landed = []
    # The latency spreads an apply's changes over half a second, for a kill to land among them.
    with server_process(tmp_path / "server", latency=0.02) as (_, url):
        site, view = Site(tmp_path / "site", url, TOKEN), View(url, TOKEN)
        for generation in range(ROUNDS):
            wanted = edit(site, generation)
            there = files(tmp_path / "server")
            process = site.start("apply")
            if generation % 4:  # three of four amid the uploads, the others anywhere
                while files(tmp_path / "server") == there and process.poll() is None:
                    time.sleep(0.001)
            time.sleep(moments.random() * (0.3 if generation % 4 else 1))  # the moment itself is what is tried
            process.kill()
            out, err = process.communicate()
            settled(view, tmp_path / "server")
            new = check(view, wanted, generation)
            landed.append(new)
            if generation % 2:
                site.ledger.unlink(missing_ok=True)
            before = images(tmp_path / "server")
            done = site.run("apply")
            assert done.returncode == 0, (out, err, done.stdout, done.stderr)
            assert check(view, wanted, generation) == MODELS, "all of them, and each as it is wanted"
            assert images(tmp_path / "server") - before == MODELS - new, "only what was missing is uploaded"
        view.close()
    if LONG:
        with capsys.disabled():
            middle = sum(0 < count < MODELS for count in landed)
            sys.stdout.write(f"\n{ROUNDS} kills, {middle} amid the changes; done at each: {sorted(landed)}\n")
    assert any(0 < count < MODELS for count in landed) or not LONG


@pytest.mark.parametrize("when", ["upload", "save", "list"])
def test_killed_while_the_server_works_on_a_request(site, proxy, view, when):
    """The request is with the server, its answer on the way, when the client dies."""
    names = site.models(10)
    dying = []

    def kills(exchange):
        answer = exchange.forward()
        if proxy.count(when) >= {"upload": 3, "save": 3, "list": 2}[when]:
            for process in dying:
                process.kill()
                process.wait()
        exchange.answer(answer)

    proxy.on(when, kills)
    dying.append(site.start("apply"))
    dying[0].communicate()
    assert dying[0].returncode == -9
    proxy.settle()  # what the server has in hand it finishes
    held = view.digests()
    assert held == {name: site.digests()[name] for name in held}
    proxy.clear()
    done = site.run("apply")
    assert done.returncode == 0, done.stderr
    assert proxy.count("upload") == len(names) - len(held)
    assert view.digests() == site.digests()
    assert json_bytes(0) == (site.folder / "m000.json").read_bytes()
