"""How the chains of a table are trained: by the paper's protocol, in fewer epochs."""

from dataclasses import dataclass
from typing import Any

from mc_keras.connectors import CurveFitting
from mc_keras.paths import PolygonalChain

# Decoupled weight decay is, under momentum 0.9, so many times that of a loss.
_DECOUPLED = 10.0


@dataclass(frozen=True)
class Chains:
    """Training of polygonal chains: SGD, `GaripovSchedule`, one free position for each batch.

    Attributes:
        epochs: Passes over the data; the schedule is shortened to them.
        learning_rate: That of the first half of them.
        weight_decay: Of the interpolated weights, see `CurveModel`.
        augmentation: That of the end points' training, see `CurveFitting`.
    """

    epochs: int = 30
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    augmentation: Any = "none"

    def connector(self, num_control_points: int) -> CurveFitting:
        """The connector that trains a chain of so many points."""
        return CurveFitting(
            curve=PolygonalChain(num_control_points=num_control_points),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            num_strata=1,
            optimizer="sgd",
            augmentation=self.augmentation,
        )


AS_USUAL = Chains()


def chains_between(recipe: Any, epochs: int) -> Chains:
    """Training of chains between networks of a recipe of the zoo, as like theirs as the paper's is.

    The learning rates are the paper's: 0.01 for fully connected networks, 0.015 for others. Weight
    decay is the recipe's, or 5e-4 where the recipe has Adam, under which it means something else.

    Args:
        recipe: What the end points were trained by.
        epochs: Of the chains.
    """
    return Chains(
        epochs=epochs,
        learning_rate=0.01 if recipe.architecture == "fully_connected" else 0.015,
        weight_decay=recipe.weight_decay / _DECOUPLED if recipe.optimizer == "sgd" else 5e-4,
        augmentation=recipe.augmentation,
    )
