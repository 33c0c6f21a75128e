"""The learning rate of the paper, at its corners and between them."""

import keras
import pytest

from mc_keras.models import GaripovSchedule


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1), (200, 1), (280, 0.505), (320, 0.2575), (360, 0.01), (399, 0.01), (500, 0.01)],
)
def test_constant_then_linear_then_a_hundredth(step, factor):
    assert float(GaripovSchedule(0.3, 400)(step)) == pytest.approx(0.3 * factor, rel=1e-4)


def test_an_optimizer_with_it_comes_back_from_its_configuration():
    config = keras.optimizers.SGD(GaripovSchedule(0.3, 400), momentum=0.9).get_config()
    schedule = keras.optimizers.SGD.from_config(config)._learning_rate
    assert schedule.get_config() == {"learning_rate": 0.3, "num_steps": 400}


@pytest.mark.parametrize("arguments", [(0.0, 10), (0.1, 0)])
def test_numbers_that_are_not_positive_are_refused(arguments):
    with pytest.raises(ValueError, match="a positive learning rate and at least one step"):
        GaripovSchedule(*arguments)
