"""The learning rate with which Garipov et al. train curves."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("mc_keras")
class GaripovSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Constant for half of the steps, falls linearly to a hundredth at nine tenths, stays there.

    The paper changes the learning rate from epoch to epoch; here it falls from step to step, so
    that it does the same in few epochs.

    Args:
        learning_rate: That of the first half.
        num_steps: Batches in the whole training.

    Raises:
        ValueError: If a number is not positive.

    Reference:
        Garipov et al., 2018, section A.2, https://arxiv.org/abs/1802.10026

    Example:

    >>> schedule = GaripovSchedule(0.1, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 50, 70, 90, 100)]
    [0.1, 0.1, 0.0505, 0.001, 0.001]
    """

    def __init__(self, learning_rate: float, num_steps: int):
        if learning_rate <= 0 or num_steps < 1:
            raise ValueError(
                "GaripovSchedule needs a positive learning rate and at least one step, received "
                f"learning_rate={learning_rate}, num_steps={num_steps}."
            )
        self.learning_rate = learning_rate
        self.num_steps = num_steps

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        done = keras.ops.cast(step, "float32") / self.num_steps
        return self.learning_rate * keras.ops.clip(1 - 0.99 * (done - 0.5) / 0.4, 0.01, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"learning_rate": self.learning_rate, "num_steps": self.num_steps}
