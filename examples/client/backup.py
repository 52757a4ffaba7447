"""Download every model of a server into a folder, several at a time and in constant memory.

MMSYNC_URL=https://HOST/mlmodelmanager MMSYNC_TOKEN=… python backup.py FOLDER
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmsync.client import create_client_from_token

USAGE = "usage: MMSYNC_URL=https://HOST/mlmodelmanager MMSYNC_TOKEN=… python backup.py FOLDER"


def main(folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    url, token = os.environ["MMSYNC_URL"], os.environ["MMSYNC_TOKEN"]
    with create_client_from_token(url, token, download_path=folder) as client, ThreadPoolExecutor(4) as pool:
        names = sorted(model["name"] for model in client.get_models())
        for model in pool.map(lambda name: client.get_model(name, download_file=True), names):
            print(f"{model['name']} → {Path(model['file']).name}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder] if {"MMSYNC_URL", "MMSYNC_TOKEN"} <= os.environ.keys():
            main(folder)
        case _:
            sys.exit(USAGE)
