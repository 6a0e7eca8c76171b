"""The pictures of the project's README."""

import pictures
import pytest
from lib.methods import NETWORKS
from matplotlib.image import imread


def test_pictures_are_light():
    sizes = []
    for name in ("digits_drawn", "number_of_clusters", "accuracy_and_seconds"):
        path = pictures.RESULTS / f"{name}.png"
        sizes.append(path.stat().st_size)
        assert imread(path).shape[1] >= 700
    assert max(sizes) < 60_000
    assert sum(sizes) < 150_000


def test_methods_stand_at_their_means_over_common_sets():
    methods = [*pictures.OTHERS, "NeighborClustering", *NETWORKS]
    records = [
        {"row": method, "data": data, "acc": acc, "seconds": seconds}
        for method in methods
        for data, acc, seconds in [("a", 0.7, 1.0), ("a", 0.9, 3.0), ("b", 0.72, 4.0)]
    ]
    records.append({"row": "KMeans", "data": "c", "acc": 0.0, "seconds": 99.0})
    found, sets = pictures.average(records)
    assert sets == ["a", "b"]
    assert list(found) == methods
    assert found["KMeans"] == pytest.approx([2.5, 0.76])
    records[0]["acc"] = records[1]["acc"] = 0.1
    ax = pictures.draw_accuracy_and_seconds(records).axes[0]
    texts = [text.get_text() for text in ax.texts]
    assert texts[:2] == ["KMeans: ACC 0.41", "GaussianMixture"]
    assert [line.get_ydata()[0] for line in ax.lines[:2]] == pytest.approx([pictures.LEAST, 0.76])
    assert "NeighborClustering" in texts
    pictures.plt.close("all")
