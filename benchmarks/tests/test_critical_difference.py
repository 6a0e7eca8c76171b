"""The critical difference of mean ranks, and its picture."""

import matplotlib.pyplot as plt
import pytest
from lib.critical_difference import critical_difference, draw, groups


@pytest.mark.parametrize(("n_methods", "quantile"), [(2, 1.960), (4, 2.569), (10, 3.164)])
def test_differences_are_those_of_the_papers_table(n_methods, quantile):
    """Table 5 (a) of the paper, for 14 sets as in its example."""
    scale = (n_methods * (n_methods + 1) / (6 * 14)) ** 0.5
    assert critical_difference(n_methods, 14) == pytest.approx(quantile * scale, rel=2e-3)


def test_groups_are_the_largest_that_do_not_differ():
    assert groups([1.0, 1.5, 2.2, 4.0, 6.0], 1.0) == [(1.0, 1.5), (1.5, 2.2)]
    assert groups([1.0, 1.5, 2.0, 4.0], 1.0) == [(1.0, 2.0)]
    assert groups([1.0, 3.0], 1.0) == []


def test_methods_stand_at_their_ranks():
    figure, ax = plt.subplots()
    draw(ax, {"B": 2.5, "A": 1.25, "C": 2.75}, 40)
    texts = [text.get_text().strip() for text in ax.texts]
    assert texts[3:6] == ["A  1.2", "B  2.5", "2.8  C"]
    assert [line.get_xdata()[0] for line in ax.lines] == [1.25, 2.5, 2.75]
    plt.close(figure)
