"""Make a server hold a file as a model, and show what it then says of it.

MMSYNC_URL=https://HOST/mlmodelmanager MMSYNC_TOKEN=… python publish.py NAME ENGINE FILE
"""

import hashlib
import os
import sys
from pathlib import Path

from mmsync.client import create_client_from_token
from mmsync.client.error import ModelManagerError, ModelRefused

USAGE = "usage: MMSYNC_URL=https://HOST/mlmodelmanager MMSYNC_TOKEN=… python publish.py NAME ENGINE FILE"


def main(name: str, engine: str, file: str) -> int:
    sha256 = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    with create_client_from_token(os.environ["MMSYNC_URL"], os.environ["MMSYNC_TOKEN"]) as client:
        try:
            client.add_model(name, engine, file, force=True, expected_sha256=sha256)
        except ModelRefused as refusal:
            print(f"the server refuses {file}: {refusal}", file=sys.stderr)
            return 1
        except ModelManagerError as error:
            print(error, error.hint, sep="\n", file=sys.stderr)
            return 1
        model = client.get_model(name)
        print(f"{model['name']} is model {model['id']}, {model['engine']}, sha256 {client.download_image(name).sha256}")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [name, engine, file] if {"MMSYNC_URL", "MMSYNC_TOKEN"} <= os.environ.keys():
            sys.exit(main(name, engine, file) if Path(file).is_file() else f"there is no file {file}\n{USAGE}")
        case _:
            sys.exit(USAGE)
