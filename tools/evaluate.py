"""Measure loss and metrics along a saved path.

    mc-evaluate --path=demo/paths/arc.path --data=digits
    mc-evaluate --path=arc.path --data=mnist --checkpoint=arc.checkpoint --output=arc.json

Prints, for each split, the values at both ends, the worst, the mean over the path and the barrier.
With --checkpoint, a run that was killed goes on where it was when it is called again.
"""

from collections.abc import Sequence

from absl import flags

from mc_keras.tools import inputs, program

_PATH = flags.DEFINE_string("path", None, "Path file, as mc-connect writes it.", required=True)
_DATA = flags.DEFINE_string(
    "data",
    None,
    inputs.DATA_HELP,
    required=True,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: TFDS_DATA_DIR, else that of TFDS."
)
_CODE = flags.DEFINE_list("code", [], inputs.CODE_HELP)
_NUM_POINTS = flags.DEFINE_integer(
    "num_points", 61, "Positions at which the path is measured.", lower_bound=2
)
_LOSS = flags.DEFINE_string(
    "loss", None, "Name of a Keras loss. Default: the one that fits network and targets."
)
_METRICS = flags.DEFINE_list("metrics", ["accuracy"], "Names of Keras metrics.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    None,
    "Most examples at once. Default: what suits the network.",
    lower_bound=1,
)
_BATCH_NORM = flags.DEFINE_enum(
    "batch_norm",
    "reestimate",
    ["reestimate", "interpolate"],
    "Batch-norm statistics: measured at every position on the training split, or those of the "
    "ends, interpolated.",
)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "File that holds how far the run is.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the report to.")
_VERBOSE = flags.DEFINE_integer(
    "verbose", 1, "0: silent, 1: a progress bar.", lower_bound=0, upper_bound=1
)


def main(argv: Sequence[str]) -> None:
    del argv
    import mc_keras as mc
    from mc_keras.storage import check_writable

    inputs.import_code(_CODE.value)
    if _OUTPUT.value is not None:
        check_writable(_OUTPUT.value)  # before the measuring, which may take long
    report = mc.evaluate_path(
        mc.load_path(_PATH.value),
        inputs.load_data(_DATA.value, _DATA_DIR.value),
        _NUM_POINTS.value,
        loss=_LOSS.value,
        metrics=_METRICS.value,
        batch_size=_BATCH_SIZE.value,
        batch_norm=_BATCH_NORM.value,
        checkpoint=_CHECKPOINT.value,
        verbose=_VERBOSE.value,
    )
    print(report.table())
    if _OUTPUT.value is not None:
        report.save(_OUTPUT.value)


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
