"""Figures of ``mmsync watch``: latency, torn files, idling. Run it: ``python tests/benchmarks/watch.py [--seconds 60]``.

latency   100 changes of one model among some; from the end of the last write to the commit, less the settle time
torn      50 models written in random chunks with pauses, renames, truncations and mtime resets, while watch runs
idle      10,000 listed models, all in step: processor time and memory over a minute
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mmsync.server import running
from support.watching import ServerView, Watch, json_model, sha256, write_manifest


def start(view, root, *arguments):
    return Watch(["-f", str(root / "models.yaml"), *arguments], server=view)


def latency(folder, changes=100, settle=2.0, models=20, side_by_side=10):
    """Change models, some at a time at random moments; wait for each commit; return seconds beyond the settle time."""
    root = folder / "models"
    root.mkdir()
    names = [f"m{n}" for n in range(models)]
    for n, name in enumerate(names):
        (root / f"{name}.json").write_bytes(json_model(n))
    write_manifest(root, {name: f"{name}.json" for name in names})
    late = []
    with running(folder / "server") as address:
        view = ServerView(address)
        watch = start(view, root, "--settle", str(settle))
        try:
            watch.until(lambda: len(view.names()) == models)
            written, committed = {}, {}
            value = 1000
            while len(late) < changes:
                for name in random.sample(names, side_by_side):
                    value += 1
                    data = json_model(value)
                    with (root / f"{name}.json").open("wb") as file:
                        file.write(data[:10])
                        file.flush()
                        time.sleep(random.random() * 0.05)
                        file.write(data[10:])
                    written[name] = (sha256(data), time.time())
                    time.sleep(random.random() * 0.2)
                # The commit's moment is the server's own: the model's update date, to the millisecond.
                while written.keys() - committed.keys():
                    for row in view._session.get(f"{view.url}/models", timeout=10).json():
                        name = row["name"]
                        if name in written and name not in committed and row["updateDate"] / 1000 >= written[name][1]:
                            assert view.digest(name) == written[name][0]
                            committed[name] = row["updateDate"] / 1000
                    time.sleep(0.02)
                late += [committed[name] - written[name][1] - settle for name in written]
                written.clear()
                committed.clear()
        finally:
            watch.kill()
            view.close()
    return sorted(late[:changes])


class Writer(threading.Thread):
    """Writes models in the ugliest ways, and notes every content and when it was replaced."""

    def __init__(self, root, names, settle, until):
        super().__init__()
        self.root, self.names, self.settle, self.end = root, names, settle, until
        self.random = random.Random(5)
        self.history = {name: [] for name in names}  # (sha256, since)
        self.buffers = {}

    def note(self, name):
        self.history[name].append((sha256(self.buffers[name]), time.monotonic()))

    def run(self):
        sessions = {name: self.session(name) for name in self.names}
        due = {name: time.monotonic() + self.random.random() for name in self.names}
        while time.monotonic() < self.end:
            name = min(due, key=due.get)
            time.sleep(max(0.0, due[name] - time.monotonic()))
            try:
                pause = next(sessions[name])
            except StopIteration:
                sessions[name] = self.session(name)
                pause = self.random.random() * 3 * self.settle
            due[name] = time.monotonic() + pause
        for name in self.names:  # the last word on each
            self.buffers[name] = bytearray(b"CBM1" + self.random.randbytes(5000))
            (self.root / f"{name}.cbm").write_bytes(self.buffers[name])
            self.note(name)

    def session(self, name):
        choose = self.random
        path = self.root / f"{name}.cbm"
        final = b"CBM1" + choose.randbytes(choose.randrange(1_000, 60_000))
        way = choose.choice(["in place", "overwrite", "append", "rename", "same size"])
        before = path.stat() if path.exists() else None
        if way == "rename":
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(final)
            yield choose.random() * self.settle
            temporary.replace(path)
            self.buffers[name] = bytearray(final)
            self.note(name)
        else:
            mode = {"in place": "wb", "append": "ab"}.get(way, "r+b" if before else "wb")
            with path.open(mode, buffering=0) as file:
                if mode == "wb":
                    self.buffers[name] = bytearray()
                    self.note(name)
                if way == "same size" and before:
                    final = final[: before.st_size].ljust(before.st_size, b"z")
                at = len(self.buffers.get(name, b"")) if mode == "ab" else 0
                buffer = self.buffers.setdefault(name, bytearray())
                for start in range(0, len(final), 8_000):
                    chunk = final[start : start + 8_000]
                    file.write(chunk)
                    buffer[at + start : at + start + len(chunk)] = chunk
                    self.note(name)
                    yield choose.random() ** 3 * 1.5 * self.settle
                if way == "overwrite" and choose.random() < 0.5:
                    cut = choose.randrange(4, len(buffer) + 1)
                    file.truncate(cut)
                    del buffer[cut:]
                    self.note(name)
        if before and choose.random() < 0.5:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def torn(folder, seconds=60.0, settle=0.5, models=50):
    """Write for a while; return what was seen, failing if a content was ever held that was never at rest."""
    root = folder / "models"
    root.mkdir()
    names = [f"m{n}" for n in range(models)]
    lines = ["version: 1", "defaults: {engine: MLSTATS}", "models:"]
    (root / "models.yaml").write_text("\n".join([*lines, *(f"  - {{name: {n}, file: {n}.cbm}}" for n in names)]) + "\n")
    seen = []  # (name, sha256)
    with running(folder / "server") as address:
        view = ServerView(address)
        watch = start(view, root, "--settle", str(settle), "--interval", "20")
        writer = Writer(root, names, settle, time.monotonic() + seconds)
        writer.start()
        images = {}
        try:
            while writer.is_alive():
                for row in view._session.get(f"{view.url}/models", timeout=10).json():
                    if images.get(row["name"]) != row["imageId"]:
                        images[row["name"]] = row["imageId"]
                        seen.append((row["name"], view.digest(row["name"])))
                time.sleep(0.02)
            final = {name: bytes(writer.buffers[name]) for name in names}
            watch.until(lambda: view.holds(final), "the final contents")
            commits = [
                (r["model"], r["sha256"]) for r in watch.records if r["event"] in ("model_added", "model_changed")
            ]
        finally:
            watch.kill()
            writer.join()
            view.close()
    rested = {(name, history[-1][0]) for name, history in writer.history.items()}
    for name, history in writer.history.items():
        for (digest, since), (_, after) in itertools.pairwise(history):
            if after - since >= settle:
                rested.add((name, digest))
    bad = [one for one in (*seen, *commits) if one not in rested]
    writes = sum(len(history) for history in writer.history.values())
    return {"writes": writes, "commits": len(commits), "contents seen on the server": len(seen), "torn": len(bad)}


def idle(folder, seconds=60.0, models=10_000):
    """Let a watcher rest over many models; return its share of a core and its memory."""
    root = folder / "models"
    for group in range(models // 20):
        (root / f"g{group:04}").mkdir(parents=True)
    files = {f"m{n:05}": f"g{n // 20:04}/m{n:05}.json" for n in range(models)}
    for n, file in enumerate(files.values()):
        (root / file).write_bytes(b"[%d]" % n)
    write_manifest(root, files)
    with running(folder / "server") as address:
        view = ServerView(address)
        watch = start(view, root, "--jobs", "16")
        try:
            began = time.monotonic()
            while not watch.rounds():
                time.sleep(0.5)
            print(f"  first apply of {models} models took {time.monotonic() - began:.0f} s", flush=True)
            rounds = watch.rounds()
            time.sleep(3)
            before, began = spent(watch.pid), time.monotonic()
            time.sleep(seconds)
            share = (spent(watch.pid) - before) / (time.monotonic() - began)
            first = {"after the first apply: % of a core": 100 * share, "MB resident": watch.resident() / 2**20}
            watch.stop()
            assert rounds == 1
            # Started anew over a server in step: what runs for months.
            watch = start(view, root)
            while not watch.rounds():
                time.sleep(0.2)
            time.sleep(5)
            before, began = spent(watch.pid), time.monotonic()
            time.sleep(seconds)
            share = (spent(watch.pid) - before) / (time.monotonic() - began)
            first["started in step: % of a core"] = 100 * share
            first["MB resident then"] = watch.resident() / 2**20
            return first
        finally:
            watch.kill()
            view.close()


def spent(pid):
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["latency", "torn", "idle"])
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    for what in options.what:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            os.environ |= {"MMSYNC_CACHE_DIR": str(folder / "cache"), "MMSYNC_LOCK_DIR": str(folder / "locks")}
            print(what, flush=True)
            if what == "latency":
                late = latency(folder)
                p95 = late[int(len(late) * 0.95) - 1]
                print(
                    f"  beyond the settle time: median {statistics.median(late) * 1000:.0f} ms, 95 % {p95 * 1000:.0f} ms,"
                )
                print(f"  slowest {late[-1] * 1000:.0f} ms, over {len(late)} changes (wanted: 95 % within 250 ms)")
            elif what == "torn":
                print("  " + ", ".join(f"{key} {value}" for key, value in torn(folder, options.seconds).items()))
            else:
                for key, value in idle(folder, options.seconds).items():
                    print(f"  {key}: {value:.2f}")


if __name__ == "__main__":
    main()
