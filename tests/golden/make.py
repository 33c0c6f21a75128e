"""Writes the golden outputs of pairs of the zoo, after their weights were replaced.

python -m tests.golden.make fc_digits conv_digits
"""

import json
import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def images(input_shape):
    """Three images with an uneven pattern, the same on every machine."""
    count = 3 * int(np.prod(input_shape))
    return (np.arange(count) * 97 % 251).astype("uint8").reshape(3, *input_shape)


def outputs(pair):
    """The logits of both ends for `images`."""
    x = images(pair.info.architecture.input_shape)
    return {role: getattr(pair, role).predict(x, verbose=0) for role in ("start", "end")}


def main(names):
    import mc_keras as mc

    for name in names:
        logits = outputs(mc.zoo.load_pair(name))
        golden = {
            "command": f"python -m tests.golden.make {name}",
            "logits": {
                role: np.round(logits[role].astype("float64"), 5).tolist() for role in logits
            },
        }
        (FOLDER / f"{name}.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
