"""A signal that reaches the process just before the main thread begins to wait, or by another of its threads.

The system then wakes nobody: the interpreter has only noted the signal, and its handler runs when the main thread next
does. Here the main thread blocks the signal, so that the system always hands it to another thread.
"""

import signal
import subprocess
import sys
import threading

import pytest

from support.wire import silent_after_half

PROGRAM = """
import signal, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
from mmsync.cli.main import main
main(sys.argv[1:])
"""


def start(folder, *args):
    words = [sys.executable, "-c", PROGRAM, *map(str, args)]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_downloads_end(tmp_path, which, code):
    started = threading.Event()
    with (
        silent_after_half(started) as server,
        start(tmp_path, "pull", "m", "--url", server.url, "--token", "t", "--to", "out") as process,
    ):
        assert started.wait(30)
        process.send_signal(which)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in err) == (code, False)


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_embedded_server_ends(tmp_path, which, code):
    with start(tmp_path, "serve", "data", "--port", "0", "--token", "t") as process:
        assert process.stdout.readline()
        process.send_signal(which)
        process.communicate(timeout=20)
    assert process.returncode in (code, 0)
