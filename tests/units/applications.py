"""Every architecture of `keras.applications` at a small input size, for tests and for the docs.

`python -m tests.units.applications` writes docs/unit_groups.md anew.
"""

import pathlib
import time

import keras
import numpy as np

from mc_keras.units import unit_groups
from tests.units.networks import (
    outputs,
    outputs_after,
    random_inputs,
    random_permutations,
    randomize,
)

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "unit_groups.md"

NAMES = sorted(
    name
    for name in dir(keras.applications)
    if name[0].isupper() and callable(getattr(keras.applications, name))
)

# Pixels, where 32 is too small for the architecture.
_SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}

_HEADER = """# Unit groups

`mc.unit_groups(model)` finds sets of hidden units that any permutation may reorder without changing
the outputs, up to rounding. Where the walk over the graph cannot tell, units hold still. There may
be more permutations than it finds: blocks of weights are units in the attention layers of Keras
only, where whole heads form a group. Elsewhere, blocks that a reshape makes are not found as units.
A maximum over the last axis of `Reshape((5, 3))` (maxout) has five groups of 3 pieces but none of
the 5 maxima, and attention put together from dense layers has groups of the dimensions within its
heads but none of the heads.

## The architectures of keras.applications

Written by `python -m tests.units.applications`; `python -m pytest -m slow
tests/units/test_applications.py` checks every row. Each architecture is built with random weights,
moving moments too, and 7 classes without softmax (`weights=None, classes=7,
classifier_activation=None`) at the input size of the row. All its groups are permuted at random,
and the outputs are compared: the change is the largest difference of an output, in float32, as a
part of the largest output.

A permutation of all units that was planted in the random initial weights is found again, unit by
unit, by `mc.units.match_units(model, permuted)` in DenseNet121, EfficientNetB0, MobileNet,
MobileNetV2, MobileNetV3Small, MobileNetV3Large, NASNetMobile and ResNet50, all that were tried (by
the same tests).

| architecture | input | groups | units | seconds for the groups | change |
|---|---|---|---|---|---|
"""


def build(name: str) -> keras.Model:
    """The architecture with its own random initial weights."""
    size = _SIZES.get(name, 32)
    return getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=7, classifier_activation=None
    )


def row(name: str, model: keras.Model) -> tuple[str, float]:
    """The row of the table without its measured columns, and the change of the outputs."""
    groups = unit_groups(model)
    arrays = random_inputs(model, batch=2)
    before = outputs(model, arrays)
    after = outputs_after(model, groups, random_permutations(groups), arrays)
    height, width, _ = model.input_shape[1:]
    units = sum(group.size for group in groups)
    text = f"| {name} | {height} x {width} | {len(groups)} | {units:,} |"
    return text, float(np.abs(after - before).max() / np.abs(before).max())


def write_page() -> None:
    """Write the page, with the architectures that have no groups and why."""
    rows, failures = [], []
    for name in NAMES:
        keras.backend.clear_session()
        try:
            model = randomize(build(name))
            began = time.perf_counter()
            unit_groups(model)
            seconds = time.perf_counter() - began
            text, change = row(name, model)
            rows.append(f"{text} {seconds:.2f} | {change:.0e} |\n")
        except ValueError as error:
            failures.append(f"- {name}: {error}\n")
    closing = f"\nAll {len(rows)} architectures work.\n"
    if failures:
        closing = "\nThese do not:\n\n" + "".join(failures)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_HEADER + "".join(rows) + closing)


if __name__ == "__main__":
    write_page()
