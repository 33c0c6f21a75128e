"""Commands as users run them, but for the seconds that TensorFlow takes to be loaded.

They are processes of their own, forked from one that has loaded it: nothing runs there before, so
that no thread is lost. `test_help...` and their like start commands from nothing.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile

_FORKS = """
import json, os, runpy, sys
import keras
import mc_keras.connectors, mc_keras.evaluation, mc_keras.export, mc_keras.zoo.training
from tensorflow.python.eager import context

assert not context.context()._initialized, "a fork would have no threads"
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.chdir(job["folder"])
os.environ.clear()
os.environ.update(job["environment"])
for number, file in enumerate(job["files"]):
    os.dup2(os.open(file, os.O_RDWR), number)
sys.argv[1:] = job["words"]
runpy.run_module(f"mc_keras.tools.{job['tool']}", run_name="__main__", alter_sys=True)
"""


@functools.cache
def _forks() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},  # as the commands have it
    )


def run_command(tool, *words, cwd=None, **environment):
    """What `python -m mc_keras.tools.TOOL WORDS` comes to, as `subprocess.run` tells it.

    Args:
        tool: Name of the tool's module.
        *words: Its arguments.
        cwd: Folder to run it in; the present one if not given.
        **environment: Variables added to those of this process.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        for file in files:
            open(file, "x").close()
        job = {
            "tool": tool,
            "words": [str(word) for word in words],
            "folder": str(cwd or os.getcwd()),
            "environment": {**os.environ, **environment},
            "files": [os.devnull, *files],
        }
        forks = _forks()
        print(json.dumps(job), file=forks.stdin, flush=True)
        code = int(forks.stdout.readline())
        stdout, stderr = (open(file, encoding="utf-8").read() for file in files)
    return subprocess.CompletedProcess([tool, *job["words"]], code, stdout, stderr)
