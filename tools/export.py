"""Export a saved path as SavedModels.

    mc-export --path=demo/paths/bezier.path --output_dir=out --positions=0,0.5,1
    mc-export --path=demo/paths/bezier.path --output_dir=out --whole_path

Writes one SavedModel with the endpoint serve(x) for each position, as out/t_0.500 and so on, and
with --whole_path one SavedModel out/path whose endpoint serve(x, t) takes the position as well.
Networks with batch normalisation need --data, from whose training split their statistics are
re-estimated between the ends of the path.
"""

from collections.abc import Sequence

from absl import flags

from mc_keras.tools import inputs, program

_PATH = flags.DEFINE_string("path", None, "Path file, as written by mc-connect.", required=True)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to write into.", required=True)
_POSITIONS = flags.DEFINE_list(
    "positions", ["0", "0.25", "0.5", "0.75", "1"], "Positions to export, in [0, 1]."
)
_WHOLE_PATH = flags.DEFINE_boolean(
    "whole_path", default=False, help="Also export the whole path as one SavedModel serve(x, t)."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "For batch-norm statistics, of which the training split is taken; networks with batch "
    "normalisation need it. " + inputs.DATA_HELP,
)
_BATCH_NORM = flags.DEFINE_enum(
    "batch_norm",
    "reestimate",
    ["reestimate", "interpolate"],
    "Batch-norm statistics: measured at every position on the training split of --data, or those "
    "of the ends, interpolated, which are usually wrong between them.",
)
_CODE = flags.DEFINE_list("code", [], inputs.CODE_HELP)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of TFDS data sets.")


def main(argv: Sequence[str]) -> None:
    del argv
    positions = [_number(text) for text in _POSITIONS.value]
    if not positions and not _WHOLE_PATH.value:
        raise ValueError("--positions= names none: give numbers in [0, 1], or --whole_path.")
    import mc_keras as mc
    from mc_keras.export import position_folders

    position_folders(_OUTPUT_DIR.value, positions)
    inputs.import_code(_CODE.value)
    path = mc.load_path(_PATH.value)
    x = None
    if _DATA.value is not None:
        x = inputs.load_data(_DATA.value, _DATA_DIR.value)["train"][0]
    statistics = {"batch_norm_data": x, "batch_norm": _BATCH_NORM.value}
    # The whole path first: one that cannot be served is refused before points are written.
    if _WHOLE_PATH.value:
        print(mc.export_path(path, f"{_OUTPUT_DIR.value}/path", **statistics))
    for folder in mc.export_points(path, _OUTPUT_DIR.value, positions, **statistics):
        print(folder)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"--positions takes numbers in [0, 1], received {text!r}.") from error


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
