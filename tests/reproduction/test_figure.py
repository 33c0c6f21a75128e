"""The bars are the numbers."""

import numpy as np

from mc_keras.reproduction.figure import plot_table


def test_bars_end_at_ours_and_at_the_papers_numbers(reproduced):
    _, result = reproduced
    drawing = plot_table(result)
    for ax, split in zip(drawing.axes, ("train", "test"), strict=True):
        right = [patch.get_x() + patch.get_width() for patch in ax.patches]
        expected = []
        for row in result.rows:
            figures = (result.figure(row, split), result.published(row, split))
            expected += [figure.mean for figure in figures if figure is not None]
        np.testing.assert_allclose(right, expected)
        texts = {text.get_text() for text in ax.texts}
        assert len(texts) > 1
        assert max(right) < ax.get_xlim()[1]
    labels = [text.get_text() for text in drawing.axes[0].get_yticklabels()]
    assert labels == ["Linear", "Arc", "Garipov (3)", "Garipov (5)", "End points"]
