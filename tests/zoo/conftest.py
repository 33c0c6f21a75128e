"""A file server on the loopback interface that misbehaves on demand, and entries to serve."""

import collections
import contextlib
import dataclasses
import hashlib
import http.server
import re
import shutil
import threading

import pytest

from mc_keras.zoo.entries import (
    POPULATION_METRICS,
    Architecture,
    Entry,
    PopulationEntry,
    WeightsFile,
)


@dataclasses.dataclass
class FileServer:
    """Serves `files` (path to bytes) over HTTP.

    `faults` holds what goes wrong with the next requests, one each: `None` (nothing), a status
    code, or `("cut", n)` and `("stall", n)`: the connection ends, or stands still, after n bytes.
    Nothing is answered before `open` is set.
    """

    url: str = ""
    files: dict = dataclasses.field(default_factory=dict)
    faults: collections.deque = dataclasses.field(default_factory=collections.deque)
    heeds_ranges: bool = True
    sends_length: bool = True
    requests: list = dataclasses.field(default_factory=list)  # (path, Range header or None)
    open: threading.Event = dataclasses.field(default_factory=threading.Event)
    stalled: threading.Event = dataclasses.field(default_factory=threading.Event)
    closing: threading.Event = dataclasses.field(default_factory=threading.Event)

    def answer(self, request):
        requested = request.headers.get("Range")
        self.requests.append((request.path, requested))
        self.open.wait(30)
        fault = self.faults.popleft() if self.faults else None
        contents = self.files.get(request.path)
        if contents is None:
            fault = fault or 404
        if isinstance(fault, int):
            request.send_error(fault)
            return
        start = 0
        if requested and self.heeds_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1])
            if start >= len(contents):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header(
                "Content-Range", f"bytes {start}-{len(contents) - 1}/{len(contents)}"
            )
        else:
            request.send_response(200)
        body = contents[start:]
        if self.sends_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        kind, count = fault or (None, len(body))
        with contextlib.suppress(ConnectionError):
            request.wfile.write(body[:count])
            request.wfile.flush()
        if kind == "stall":
            self.stalled.set()
            self.closing.wait(30)


@pytest.fixture
def server():
    state = FileServer()
    state.open.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.answer(self)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        state.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        state.closing.set()
        httpd.shutdown()
        thread.join()


@pytest.fixture
def make_entry():
    """A function that makes the entry of a pair whose files have the given contents."""

    def make(start=b"the start", end=b"the end", name="toy", version=1):
        files = {
            role: WeightsFile(
                path=f"{name}/{role}.weights.h5",
                size=len(contents),
                sha256=hashlib.sha256(contents).hexdigest(),
            )
            for role, contents in {"start": start, "end": end}.items()
        }
        metrics = {
            "train_accuracy": 1.0,
            "train_loss": 0.0,
            "test_accuracy": 0.9,
            "test_loss": 0.5,
        }
        return Entry(
            name=name,
            version=version,
            description="A pair of toys.",
            dataset="digits",
            architecture=Architecture("fully_connected", (8, 8, 1), 10, {"hidden": [5]}),
            recipe=name,
            training={"epochs": 3, "learning_rate": 0.1},
            commands={"start": "mc-train --seed=1", "end": "mc-train --seed=2"},
            seeds={"start": 1, "end": 2},
            files=files,
            metrics={"start": metrics, "end": metrics},
            license="Apache-2.0",
            dataset_license="CC BY 4.0",
            created="2026-01-31",
            versions={"keras": "3.15.1"},
        )

    return make


@pytest.fixture
def make_population():
    """A function that makes the entry of a population whose file has the given contents."""

    def make(contents=b"the networks", name="toys_3-4"):
        return PopulationEntry(
            name=name,
            version=1,
            description="Two toys.",
            dataset="digits",
            architecture=Architecture("fully_connected", (8, 8, 1), 10, {"hidden": [5]}),
            recipe="toys",
            training={"epochs": 3, "learning_rate": 0.1},
            command="mc-train --recipe=toys --seed=3 --count=2",
            seeds=(3, 4),
            files={
                "networks": WeightsFile(
                    path=f"{name}/3-4.networks",
                    size=len(contents),
                    sha256=hashlib.sha256(contents).hexdigest(),
                )
            },
            metrics={"networks": 2, **dict.fromkeys(POPULATION_METRICS, 0.9)},
            license="Apache-2.0",
            dataset_license="CC BY 4.0",
            created="2026-01-31",
            versions={"keras": "3.15.1"},
        )

    return make


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Folders of two finished trainings of a tiny recipe that differ in their seed."""
    from mc_keras.zoo import recipes, training

    recipe = dataclasses.replace(
        recipes.get_recipe("fc_digits"),
        name="tiny_digits",
        config={**recipes.get_recipe("fc_digits").config, "hidden": (7, 5)},
        epochs=5,
    )
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in (3, 4)]
    for seed, folder in zip((3, 4), folders, strict=True):
        training.train(recipe, seed, folder, verbose=0)
    return folders


@pytest.fixture(scope="session")
def packed_zoo(runs, tmp_path_factory):
    """A zoo folder with one entry, `tiny_digits`. Not to be changed: copy it."""
    from mc_keras.zoo import packing

    zoo = tmp_path_factory.mktemp("zoo")
    packing.add(zoo, *runs, description="Two tiny networks.")
    return zoo


@pytest.fixture
def tiny_zoo(packed_zoo, tmp_path):
    """A copy of `packed_zoo` for one test."""
    return shutil.copytree(packed_zoo, tmp_path / "tiny_zoo")
