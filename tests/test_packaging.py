import configparser
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def test_every_package_is_listed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = set()
    for folder, package in (("mc_keras", "mc_keras"), ("zoo", "mc_keras.zoo"), ("tools", None)):
        for file in (ROOT / folder).rglob("__init__.py"):
            inner = file.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package or "mc_keras.tools", *inner)))
    assert listed == found


def test_every_command_exists():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options.entry_points"]["console_scripts"].strip().splitlines():
        name, target = (part.strip() for part in line.split("="))
        module, function = target.split(":")
        assert name == f"mc-{module.rpartition('.')[2]}"
        source = (ROOT / "tools" / f"{module.rpartition('.')[2]}.py").read_text()
        assert f"def {function}() -> None:" in source


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(tmp_path):
    """As a user installs it: code, manifest and weights are all in the wheel."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    code = (
        "import json, mc_keras as mc;"
        "pair = mc.zoo.load_pair('fc_digits');"
        "path = mc.connect(pair.start, pair.end, 'arc');"
        "print(json.dumps([mc.__file__, mc.zoo.list(), len(path(0.5))]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site), "MC_KERAS_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    file, names, arrays = json.loads(result.stdout.splitlines()[-1])
    assert pathlib.Path(file).is_relative_to(site)
    assert "fc_digits" in names
    assert arrays > 0
