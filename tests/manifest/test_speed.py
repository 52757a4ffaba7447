"""Reading ten thousand models is to cost little more than composing their YAML."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from mmsync.manifest import read_manifest

COUNT = 4000


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
def test_reading_and_looking_files_up_costs_little_more_than_composing(folder):
    text = "version: 1\nscope: ['model_*']\ndefaults: {engine: ONNX}\nmodels:\n"
    for number in range(COUNT):
        file = f"g{number // 20:03d}/model_{number:05d}.onnx"
        text += f"  - name: model_{number:05d}\n    file: {file}\n    description: Model number {number}\n"
        folder.model(file, b"")
    path = folder.manifest(text)

    def compose() -> None:
        with Path(path).open("rb") as file:
            yaml.compose(file, Loader=yaml.CSafeLoader)

    def quickest(call) -> float:
        times = []
        for _ in range(3):
            started = time.process_time()
            call()
            times.append(time.process_time() - started)
        return min(times)

    assert len(read_manifest([path]).stats) == COUNT
    assert quickest(lambda: read_manifest([path])) < quickest(compose) + 0.15 * COUNT / 10_000
