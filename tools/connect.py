"""Connect two trained networks by several methods and report on the paths.

    mc-connect --pair=fc_digits --methods=all --output_dir=demo
    mc-connect --start=a.keras --end=b.keras --data=cifar10 --methods=linear,arc,bezier

Prints a table and writes, to --output_dir: report.html (everything on one page), results.json (the
same for programs), figures/*.png, paths/METHOD.path, and SavedModels of points of the best path.
A run that was killed goes on where it was when it is called again.
"""

import os
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from mc_keras.tools import inputs, program

if TYPE_CHECKING:
    import keras

    from mc_keras.connectors import Connector
    from mc_keras.reporting import Comparison

_PAIR = flags.DEFINE_string("pair", None, "Pair of networks of the zoo; see `mc-zoo list`.")
_SOURCE = flags.DEFINE_string(
    "source", None, "Folder or base URL of --pair. Default: as for mc-zoo fetch."
)
_START = flags.DEFINE_string("start", None, "Instead of --pair: .keras file of the first network.")
_END = flags.DEFINE_string("end", None, "Instead of --pair: .keras file of the second network.")
_METHODS = flags.DEFINE_list(
    "methods", ["all"], "Methods, separated by commas; all: every one that applies."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    inputs.DATA_HELP + " Default: the one of --pair.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: TFDS_DATA_DIR, else that of TFDS."
)
_CODE = flags.DEFINE_list("code", [], inputs.CODE_HELP)
_ON_UNKNOWN = flags.DEFINE_enum(
    "on_unknown",
    None,
    ["error", "end"],
    "What methods that reorder units do at a layer of your own that no unit rule covers. error: "
    "say so, and how to add a rule in --code. end: leave the units that reach it in their order. "
    "Default: error.",
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to write to.", required=True)
_NUM_POINTS = flags.DEFINE_integer(
    "num_points", 61, "Positions at which a path is measured.", lower_bound=2
)
_EXPORT_POINTS = flags.DEFINE_integer(
    "export_points",
    5,
    "Number of SavedModels of the best path.",
    lower_bound=0,
    upper_bound=1001,  # their names have three decimals
)
_PLANE_RESOLUTION = flags.DEFINE_integer(
    "plane_resolution",
    21,
    "Nodes along each side of the planes of trained curves; 0: no planes.",
    lower_bound=0,
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Epochs of trained curves, instead of their own number.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_VERBOSE = flags.DEFINE_integer(
    "verbose",
    1,
    "0: silent, 1: a progress bar, 2: one for each training and evaluation.",
    lower_bound=0,
    upper_bound=2,
)


def main(argv: Sequence[str]) -> None:
    del argv
    _check_flags()
    import mc_keras as mc
    from mc_keras.comparing import compare_methods
    from mc_keras.tasks import num_outputs

    inputs.import_code(_CODE.value)
    named = {method: mc.connectors.by_name(method) for method in _methods()}
    _set("epochs", _EPOCHS, named, "methods that train curves, such as bezier and polychain")
    _set("on_unknown", _ON_UNKNOWN, named, "methods that reorder units, such as ot and best")
    start, end, about = _networks()
    everything = "all" in _METHODS.value
    connectors = {
        method: connector
        for method, connector in named.items()
        if not everything or connector.applies_to(start)
    }
    _say_what_is_left_out(set(named) - set(connectors), start)
    comparison = compare_methods(
        start,
        end,
        inputs.load_data(about["data_set"], _DATA_DIR.value),
        connectors,
        _OUTPUT_DIR.value,
        title=about["networks"],
        num_points=_NUM_POINTS.value,
        num_exports=_EXPORT_POINTS.value,
        plane_resolution=_PLANE_RESOLUTION.value,
        seed=_SEED.value,
        about={**about, "command": shlex.join(["mc-connect", *sys.argv[1:]])},
        verbose=_VERBOSE.value,
    )
    print(mc.reporting.comparison_table(comparison))
    _warn_of_guessing(comparison, num_outputs(start))
    print(f"\n* The best path. The report: {os.path.join(_OUTPUT_DIR.value, 'report.html')}")


def _warn_of_guessing(comparison: "Comparison", num_classes: int) -> None:
    """Say so if the networks are no better than chance, as on data prepared in another way."""
    report = next(iter(comparison.reports.values()))
    quantity = f"{report.splits[0]}_accuracy"
    ends = report[quantity][[0, -1]] if quantity in report.names else []
    if num_classes > 1 and len(ends) and max(ends) < 1.5 / num_classes:
        print(
            f"\nThe networks themselves are right on {ends[0]:.1%} and {ends[1]:.1%} of the data, "
            f"no better than chance among {num_classes} classes: are the data scaled as in their "
            "training? A named data set has pixels from 0 to 255; pass yours as an .npz file.",
            file=sys.stderr,
        )


def _check_flags() -> None:
    files = [_START.value, _END.value]
    if (_PAIR.value is None) == (files == [None, None]) or (_PAIR.value is None and None in files):
        raise ValueError(
            "Name the networks by --pair=NAME, a pair of the zoo, or by --start=A.keras and "
            "--end=B.keras, two files."
        )
    if _PAIR.value is None and _SOURCE.value is not None:
        raise ValueError("--source is where --pair is taken from; leave it out or add --pair.")
    if _PAIR.value is None and _DATA.value is None:
        raise ValueError("Name the data of the networks by --data, such as --data=digits.")


def _networks() -> "tuple[keras.Model, keras.Model, dict[str, Any]]":
    """The two networks, and what is known of them besides."""
    if _PAIR.value is None:
        files = (_START.value, _END.value)
        about = {"networks": " and ".join(map(os.path.basename, files)), "data_set": _DATA.value}
        return *map(inputs.load_model, files), about
    import mc_keras as mc

    pair = mc.zoo.load_pair(_PAIR.value, _SOURCE.value, verbose=_VERBOSE.value)
    about = {
        "networks": pair.info.name,
        "data_set": _DATA.value or pair.info.dataset,
        "zoo": {
            "version": pair.info.version,
            "description": pair.info.description,
            "recipe": pair.info.recipe,
            "seeds": dict(pair.info.seeds),
        },
    }
    return pair.start, pair.end, about


def _methods() -> list[str]:
    """Names of the methods, `all` replaced by every one."""
    import mc_keras as mc

    if not _METHODS.value:
        raise ValueError("--methods is empty; name methods separated by commas, or all.")
    for method in set(_METHODS.value) - {"all"}:
        mc.connectors.by_name(method)
    return mc.connectors.names() if "all" in _METHODS.value else _METHODS.value


def _set(
    option: str, flag: flags.FlagHolder[Any], methods: "Mapping[str, Connector]", kind: str
) -> None:
    """Give an option to all methods that have it, if its flag is there."""
    if flag.value is None:
        return
    having: list[Any] = [c for c in _all_within(methods.values()) if hasattr(c, option)]
    if not having:
        raise ValueError(
            f"--{option}={flag.value} is for {kind}, received --methods={','.join(methods)}: "
            "leave it out."
        )
    for connector in having:
        setattr(connector, option, flag.value)


def _all_within(connectors: "Iterable[Connector]") -> "Iterator[Connector]":
    """Connectors, and those that they are made with."""
    from mc_keras.connectors import Connector

    for connector in connectors:
        yield connector
        yield from _all_within(c for c in vars(connector).values() if isinstance(c, Connector))


def _say_what_is_left_out(methods: "Collection[str]", network: "keras.Model") -> None:
    """Of all methods, those that do not apply; a layer without a unit rule is a reason to name."""
    import mc_keras as mc

    if not methods:
        return
    try:
        mc.unit_groups(network, _ON_UNKNOWN.value or "error")
        reason = "."
    except (TypeError, ValueError) as error:
        reason = f": {error} (--on_unknown=end)"
    print(f"Left out are {', '.join(sorted(methods))}{reason}", file=sys.stderr)


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
