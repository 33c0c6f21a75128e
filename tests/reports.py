"""Reports made by hand, for what is drawn and written from them."""

import numpy as np

from mc_keras.evaluation import PathReport, PlaneReport, Projection


def path_report(method, depth, *, num_points=21, length=1.2, nan_at=(), **metadata):
    """A path whose accuracy dips by `depth` and whose loss rises by five times that."""
    t = np.linspace(0, 1, num_points)
    bump = 4 * t * (1 - t)
    values = {
        "train_loss": 0.02 + 0.01 * t + 5 * depth * bump,
        "train_accuracy": 0.99 - 0.01 * t - depth * bump,
        "test_loss": 0.1 + 0.02 * t + 6 * depth * bump,
        "test_accuracy": 0.97 - 0.02 * t - depth * bump,
    }
    for array in values.values():
        array[list(nan_at)] = np.nan
    return PathReport(
        t=t,
        values=values,
        smaller_is_better={name: name.endswith("loss") for name in values},
        splits=("train", "test"),
        steps=np.full(num_points - 1, length / (num_points - 1)),
        chord=1.0,
        method=method,
        metadata={"examples": {"train": 1442, "test": 355}, **metadata},
    )


def path_reports(**depths):
    """Reports of several methods, by the depth of their dip."""
    return {method: path_report(method, depth) for method, depth in depths.items()}


def plane_report(*, height=1.0, off_plane=0.0, nan_at=(), loss=None):
    """A valley along the parabola from (0, 0) over (5, `height`) to (10, 0)."""
    x, y = np.linspace(-2, 12, 15), np.linspace(-0.2, 1.2, 9) * 2 * height
    t = np.linspace(0, 1, 11)
    curve = 4 * height * t * (1 - t)
    away = (y[:, None] - 4 * height * x / 10 * (1 - x / 10)) ** 2
    values = {
        "train_loss": 0.01 + away,
        "train_accuracy": 1 - np.tanh(away / 9),
        "test_loss": 0.1 + away,
        "test_accuracy": 0.97 - 0.9 * np.tanh(away / 9),
    }
    for array in values.values():
        for node in nan_at:
            array[node] = np.nan
    return PlaneReport(
        values=values,
        smaller_is_better={name: name.endswith("loss") for name in values},
        splits=("train", "test"),
        x=x,
        y=y,
        points={"start": (0.0, 0.0), "end": (10.0, 0.0), "bend": (5.0, 2 * height)},
        projections={
            "bezier": Projection(t, 10 * t, curve, np.zeros(11)),
            "arc": Projection(t, 10 * t, curve / 2, off_plane * t * (1 - t)),
        },
        metadata={"evaluation": {"measures": {"loss": {"class": loss}}}} if loss else {},
    )
