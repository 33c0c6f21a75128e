"""Measure the library against what one would do without it, both in one run.

    mc-benchmark
    mc-benchmark --parts=evaluation --cases=fc_cifar10 --method=arc --output=benchmark.json
    mc-benchmark --parts=units,matching,adjustment,paths

The parts: `evaluation`, mc.evaluate_path against the plain loop over points; `units`, the unit
groups of ResNet50; `matching`, the assignment of units against ot.emd; `adjustment`, weight
adjustment against numpy.linalg.pinv; `paths`, whole paths built and evaluated against one plain
evaluation; `flows`, RealNVP and IAF there and back, and training steps of four networks in one
program against one after the other. Networks are not trained: the work is the same.
"""

from collections.abc import Sequence

from absl import flags

from mc_keras.tools import program
from mc_keras.tools.benchmarks import construction, evaluation, flows
from mc_keras.tools.benchmarks.common import Settings

_RUNNERS = {"evaluation": evaluation.run} | construction.PARTS | flows.PARTS

_PARTS = flags.DEFINE_list("parts", list(_RUNNERS), "What to measure.")
_CASES = flags.DEFINE_list(
    "cases", list(evaluation.CASES), "Networks that evaluation is measured on."
)
_METHOD = flags.DEFINE_string("method", "linear", "Method of the path that is evaluated.")
_POINTS = flags.DEFINE_integer("points", None, "Points instead of each case's.", lower_bound=2)
_EXAMPLES = flags.DEFINE_integer(
    "examples", None, "Most examples of a split instead of all that a part takes.", lower_bound=1
)
_PLAIN_POINTS = flags.DEFINE_integer(
    "plain_points", 3, "Points at which the plain loop is timed.", lower_bound=1
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of TFDS data sets.")
_RANDOM_DATA = flags.DEFINE_boolean(
    "random_data", default=False, help="Random pixels and labels instead of the data sets."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the figures to.")


def main(argv: Sequence[str]) -> None:
    del argv
    for chosen, known, what in (
        (_CASES.value, evaluation.CASES, "case"),
        (_PARTS.value, _RUNNERS, "part"),
    ):
        if not chosen:
            raise ValueError(f"--{what}s is empty; name {what}s of {', '.join(known)}.")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise ValueError(
                f"There is no {what} '{unknown[0]}'; the {what}s are {', '.join(known)}."
            )
    from mc_keras.connectors import by_name
    from mc_keras.provenance import versions
    from mc_keras.storage import check_writable, write_json

    by_name(_METHOD.value)
    if _OUTPUT.value is not None:
        check_writable(_OUTPUT.value)  # before the measuring, which takes long

    settings = Settings(
        cases=_CASES.value,
        method=_METHOD.value,
        points=_POINTS.value,
        examples=_EXAMPLES.value,
        plain_points=_PLAIN_POINTS.value,
        data_dir=_DATA_DIR.value,
        random_data=_RANDOM_DATA.value,
    )
    figures = {part: _RUNNERS[part](settings) for part in _PARTS.value}
    if _OUTPUT.value is not None:
        write_json(_OUTPUT.value, {**figures, "versions": versions()})


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
