"""Compare learned connections with paths that need no training, on pairs of networks.

    python -m mc_keras.tools.compare_connections --recipe=fc_mnist --output=zoo/results/flows_mnist

Takes the connection models of runs/RECIPE/METHOD and the networks of runs/RECIPE/30-35.networks, as
`mc-train --connection` makes them, two for each pair, and the zoo's pair of that recipe. Writes
OUTPUT.md and OUTPUT.json: worst accuracy along the path, mean and standard deviation over the
pairs, beside the numbers of Anokhin and Yarotsky, 2020.
"""

import json
import os
import pathlib
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

from mc_keras.tools import program

_RECIPE = flags.DEFINE_string("recipe", None, "Recipe of the networks.", required=True)
_RUNS = flags.DEFINE_string("runs", "runs", "Folder of the runs.")
_HELD_OUT = flags.DEFINE_string("held_out", "30-35", "Seeds of the networks of the pairs.")
_NUM_POINTS = flags.DEFINE_integer("num_points", 9, "Positions on each path.", lower_bound=3)
_SLOW_POINTS = flags.DEFINE_integer(
    "slow_points",
    3,
    "Positions on paths by an autoregressive flow: each takes as many steps as a unit has weights.",
    lower_bound=3,
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data sets.")
_OUTPUT = flags.DEFINE_string("output", None, "Files to write, without suffix.", required=True)

_METHODS = (
    "linear",
    "arc",
    "iaf_flow",
    "rnvp_flow",
    "rnvp_bijection",
    "linear+wa",
    "rnvp_bijection+wa",
)


def main(argv: Sequence[str]) -> None:
    del argv
    import mc_keras as mc
    from mc_keras.connectors import Connector, LearnedConnection, WeightAdjustment, by_name
    from mc_keras.provenance import versions
    from mc_keras.storage import atomic_write, sha256_of_file, write_json
    from mc_keras.zoo.populations import read_population
    from mc_keras.zoo.training import CARD_FILE

    folder = f"{_RUNS.value}/{_RECIPE.value}"
    networks, info = read_population(f"{folder}/{_HELD_OUT.value}.networks")
    pairs = {
        f"seeds {info['seeds'][i]} and {info['seeds'][i + 1]}": (networks[i], networks[i + 1])
        for i in range(0, len(networks) - 1, 2)
    }
    if _RECIPE.value in mc.zoo.list():
        pair = mc.zoo.load_pair(_RECIPE.value)
        pairs[f"seeds {pair.info.seeds['start']} and {pair.info.seeds['end']}"] = pair[:2]
    data = mc.zoo.load_data(info["recipe"]["dataset"], _DATA_DIR.value)
    connectors: dict[str, Connector] = {}
    flows: dict[str, Any] = {}
    for method in _METHODS:
        base, _, added = method.partition("+")
        file = f"{folder}/{base}/connection.keras"
        if base in ("linear", "arc"):
            connectors[method] = by_name(method)
        elif os.path.exists(file):
            learned = LearnedConnection(model=file)
            card = json.loads(pathlib.Path(file).with_name(CARD_FILE).read_text(encoding="utf-8"))
            flows[base] = {
                "sha256": sha256_of_file(file),
                "seeds": card["seeds"],
                "held_out_seeds": card["held_out_seeds"],
            }
            connectors[method] = WeightAdjustment(learned) if added else learned
    methods: dict[str, Any] = {}
    for method, connector in connectors.items():
        points = _SLOW_POINTS.value if method.startswith("iaf") else _NUM_POINTS.value
        methods[method] = {"num_points": points, "pairs": {}}
        for name, (start, end) in pairs.items():
            began = time.perf_counter()
            path = mc.connect(start, end, connector, data.train)
            report = mc.evaluate_path(path, data, points, verbose=0)
            measured = {
                f"{split}_worst_accuracy": report.worst(f"{split}_accuracy")
                for split in ("train", "test")
            }
            measured["ends_test_accuracy"] = report["test_accuracy"][[0, -1]].tolist()
            measured["ends_train_accuracy"] = report["train_accuracy"][[0, -1]].tolist()
            measured["test_accuracy"] = report["test_accuracy"].tolist()
            measured["seconds"] = round(time.perf_counter() - began, 1)
            methods[method]["pairs"][name] = measured
            print(method, name, f"{measured['test_worst_accuracy']:.2%}", flush=True)
    results = {
        "command": shlex.join(
            ["python", "-m", "mc_keras.tools.compare_connections", *sys.argv[1:]]
        ),
        "recipe": info["recipe"],
        "flows": flows,
        "methods": methods,
        "versions": versions(),
    }
    write_json(f"{_OUTPUT.value}.json", results)
    with atomic_write(f"{_OUTPUT.value}.md") as target:
        target.write_text(_markdown(results), encoding="utf-8")


def _markdown(results: dict[str, Any]) -> str:
    from mc_keras.reproduction.published import TABLE_1

    table = next((t for t in TABLE_1.values() if t.pair == results["recipe"]["name"]), None)
    first = next(iter(results["methods"].values()))["pairs"]
    lines = [
        f"# Learned connections of `{results['recipe']['name']}` networks",
        "",
        f"Worst accuracy along the path, per cent, mean and standard deviation over {len(first)} "
        f"pairs of networks outside the training of the connections ({'; '.join(first)})."
        + _choosing(results["flows"], list(first)),
        "",
        "| method | points | train | test | paper: train | test |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for method, found in results["methods"].items():
        row = table.row(method) if table else None
        worst = (
            _spread([pair[f"{split}_worst_accuracy"] for pair in found["pairs"].values()])
            for split in ("train", "test")
        )
        published = (_figure(getattr(row, split, None)) for split in ("train", "test"))
        lines.append(
            "| " + " | ".join((method, str(found["num_points"]), *worst, *published)) + " |"
        )
    ends = (
        _spread([value for pair in first.values() for value in pair[f"ends_{split}_accuracy"]])
        for split in ("train", "test")
    )
    row = table.row("ends") if table else None
    published = (_figure(getattr(row, split, None)) for split in ("train", "test"))
    lines.append("| " + " | ".join(("end points", "", *ends, *published)) + " |")
    return "\n".join([*lines, "", "Made by", "", "```", results["command"], "```", ""])


def _choosing(flows: dict[str, Any], pairs: list[str]) -> str:
    """Which of the pairs chose the epoch of a flow, and are not quite new to it."""
    by_pairs: dict[str, list[str]] = {}
    for method, flow in flows.items():
        seeds = flow["held_out_seeds"]
        held_out = [f"seeds {a} and {b}" for a, b in zip(seeds[::2], seeds[1::2], strict=True)]
        if known := "; ".join(pair for pair in pairs if pair in held_out):
            by_pairs.setdefault(known, []).append(method)
    return "".join(
        f" Of them, {known} chose the epoch of {', '.join(methods)}."
        for known, methods in by_pairs.items()
    )


def _spread(values: Sequence[float]) -> str:
    import numpy as np

    deviation = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{deviation}"


def _figure(figure: Any) -> str:
    return "" if figure is None else f"{figure.mean:.2f} ± {figure.sd:.2f}"


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
