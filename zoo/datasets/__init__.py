"""Data sets of images, through tensorflow-datasets."""

from mc_keras.zoo.datasets.loading import DataSet as DataSet
from mc_keras.zoo.datasets.loading import load_data as load_data
