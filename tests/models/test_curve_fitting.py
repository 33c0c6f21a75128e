"""What the connector of trained curves does is what is done with the model by hand."""

import json

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras.batches import Batches
from mc_keras.connectors import CurveFitting
from mc_keras.models import GaripovSchedule

PAPERS = {
    "curve": mc.PolygonalChain(3),
    "epochs": 3,
    "batch_size": 100,
    "learning_rate": 0.02,
    "weight_decay": 1e-3,
    "num_strata": 1,
    "optimizer": "sgd",
    "augmentation": "crop_flip",
}


def test_the_papers_protocol(batch_norm_pair):
    start, end, (x, y) = batch_norm_pair
    model = mc.CurveModel(start, end, PAPERS["curve"], weight_decay=1e-3, seed=2)
    optimizer = keras.optimizers.SGD(GaripovSchedule(0.02, 3 * 3), momentum=0.9)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = Batches(x, y, batch_size=100, augmentation="crop_flip", seed=2)
    for epoch in range(3):
        batches.epoch = epoch
        model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0)
    path = mc.connect(start, end, CurveFitting(**PAPERS), (x, y), seed=2)
    for a, b in zip(path(0.5), model.path()(0.5), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("option", [{"optimizer": "adam"}, {"augmentation": "none"}])
def test_the_options_matter(batch_norm_pair, option):
    path, other = (
        mc.connect(*batch_norm_pair[:2], CurveFitting(**PAPERS | changes), batch_norm_pair[2])
        for changes in ({}, option)
    )
    assert not np.allclose(path(0.5)[0], other(0.5)[0], atol=1e-3)


def test_the_configuration_is_plain():
    config = CurveFitting(**PAPERS).get_config()
    assert json.loads(json.dumps(config)) == config
    assert {key: config[key] for key in PAPERS if key != "curve"} == {
        key: value for key, value in PAPERS.items() if key != "curve"
    }


def test_bad_options_are_refused(dense_pair):
    with pytest.raises(
        ValueError, match="takes 'adam' or 'sgd' for optimizer, received optimizer='rmsprop'"
    ):
        CurveFitting(optimizer="rmsprop")
    with pytest.raises(ValueError, match="is for images, .* received examples of shape"):
        mc.connect(*dense_pair[:2], CurveFitting(augmentation="crop_flip"), dense_pair[2])
