"""The rooms import one way, and importing the package costs nothing."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# What each room may import of the others, besides itself.
ALLOWED = {
    "_version": set(),
    "storage": set(),
    "progress": set(),
    "locks": {"storage"},
    "provenance": {"_version"},
    "weight_space": set(),
    "architecture": {"storage", "weight_space"},
    "cloning": {"architecture", "weight_space"},
    "user_warning": set(),
    "data": set(),
    "tasks": {"units"},
    "batches": set(),
    "batch_norm": {"cloning", "weight_space"},
    "paths": {
        "_version",
        "architecture",
        "batch_norm",
        "cloning",
        "data",
        "storage",
        "weight_space",
    },
    "units": {"architecture", "progress", "storage", "user_warning", "weight_space"},
    "checkpoint": {"_version", "storage"},
    "adjustment": {
        "batch_norm",
        "checkpoint",
        "data",
        "paths",
        "progress",
        "units",
        "user_warning",
        "weight_space",
    },
    "flows": {
        "architecture",
        "cloning",
        "paths",
        "storage",
        "units",
        "user_warning",
        "weight_space",
    },
    "layers": {"paths", "weight_space"},
    "models": {
        "architecture",
        "batch_norm",
        "cloning",
        "data",
        "layers",
        "paths",
        "storage",
        "weight_space",
    },
    "connectors": {
        "adjustment",
        "architecture",
        "batches",
        "batch_norm",
        "checkpoint",
        "cloning",
        "data",
        "flows",
        "models",
        "paths",
        "progress",
        "provenance",
        "storage",
        "tasks",
        "units",
        "weight_space",
        "zoo",
    },
    "evaluation": {
        "_version",
        "architecture",
        "batch_norm",
        "checkpoint",
        "cloning",
        "data",
        "paths",
        "progress",
        "provenance",
        "storage",
        "tasks",
        "units",
        "weight_space",
    },
    "export": {"batch_norm", "cloning", "data", "paths", "storage", "weight_space"},
    "plotting": {"evaluation"},
    "reporting": {"_version", "evaluation", "plotting", "storage"},
    "folding": {"cloning", "units", "weight_space"},
    "workspace": {"architecture", "connectors", "evaluation", "paths", "provenance", "storage"},
    "comparing": {
        "architecture",
        "connectors",
        "evaluation",
        "export",
        "locks",
        "paths",
        "progress",
        "reporting",
        "storage",
        "workspace",
    },
    "reproduction": {
        "_version",
        "architecture",
        "connectors",
        "evaluation",
        "flows",
        "locks",
        "paths",
        "plotting",
        "progress",
        "provenance",
        "storage",
        "workspace",
    },
    "zoo": {
        "_version",
        "architecture",
        "batches",
        "cloning",
        "evaluation",
        "flows",
        "folding",
        "locks",
        "progress",
        "storage",
        "weight_space",
    },
    "tools": None,
}


def modules():
    for folder, package in (("mc_keras", "mc_keras"), ("zoo", "mc_keras.zoo"), ("tools", None)):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            room = parts[1] if package == "mc_keras" else folder
            if room != "__init__" or package != "mc_keras":
                yield pytest.param(file, room, id=str(file.relative_to(ROOT)))


def imported_rooms(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.module == "mc_keras":
                names = [f"mc_keras.{alias.name}" for alias in node.names]
            else:
                names = [node.module or ""]
        for name in names:
            if name.startswith("mc_keras."):
                yield name.split(".")[1]


@pytest.mark.parametrize(("file", "room"), modules())
def test_arrows_point_one_way(file, room):
    allowed = ALLOWED[room]
    if allowed is not None:
        assert set(imported_rooms(file)) <= allowed | {room}


def test_private_keras_history_is_read_in_one_place():
    users = [
        file.relative_to(ROOT)
        for file in ROOT.glob("mc_keras/**/*.py")
        if "_keras_history" in file.read_text() or "_inbound_nodes" in file.read_text()
    ]
    assert {file.parts[1] for file in users} <= {"units"}


def test_stateless_scope_is_used_in_one_place():
    users = [
        file.name
        for folder in ("mc_keras", "zoo", "tools")
        for file in (ROOT / folder).rglob("*.py")
        if "keras.StatelessScope(" in file.read_text()
    ]
    assert users == ["weight_space.py"]


def test_tensorflow_probability_is_used_in_one_room():
    users = {
        file.parts[-2]
        for folder in ("mc_keras", "zoo", "tools")
        for file in (ROOT / folder).rglob("*.py")
        if "import tensorflow_probability" in file.read_text()
        or "from tensorflow_probability" in file.read_text()
    }
    assert users == {"flows"}


HEAVY = ("tensorflow", "keras", "numpy", "tensorflow_datasets", "matplotlib")


@pytest.mark.parametrize("module", ["mc_keras", "mc_keras.zoo", "mc_keras.tools.connect"])
def test_imports_are_light(module):
    code = f"import {module}, sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_every_public_name_exists():
    import mc_keras as mc

    for name in mc.__all__:
        assert getattr(mc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = mc.conect
