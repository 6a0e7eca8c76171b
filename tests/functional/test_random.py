"""Random numbers of streams, quasi-random points, and shifts that hash samples."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from skdeepcluster.functional import points
from skdeepcluster.nn import runtime

CPU = torch.device("cpu")
close = torch.testing.assert_close


def test_random_numbers_follow_their_distributions():
    n = 20_000
    with runtime.seeded(3):
        normal = runtime.randn_like(torch.empty(n, dtype=torch.float32))
        uniform = runtime.rand((n,), CPU)
        classes = runtime.multinomial(torch.tensor([0.2, 0.0, 0.8]), n)
        whole = runtime.randint(5, (n,), CPU)

    assert kstest(normal.numpy(), norm.cdf).statistic < 0.02
    assert kstest(uniform.numpy(), "uniform").statistic < 0.02
    np.testing.assert_allclose(np.bincount(classes) / n, [0.2, 0, 0.8], atol=0.02)
    np.testing.assert_allclose(np.bincount(whole) / n, [0.2] * 5, atol=0.02)

    assert normal.dtype == uniform.dtype == torch.float32
    assert runtime.randn_like(torch.zeros(1).double()).dtype == torch.float64


@pytest.mark.parametrize("n_dimensions", [1, 5])
def test_quasi_random_points_have_one_in_each_interval(n_dimensions):
    uniform = points.uniform_points(64, n_dimensions)
    intervals = (64 * uniform).floor().sort(0).values
    expected = torch.arange(64.0).double()[:, None].expand(64, n_dimensions)
    assert torch.equal(intervals, expected)
    normal = points.normal_quantiles(uniform)
    close(normal, torch.from_numpy(norm.ppf(uniform)))


@pytest.mark.parametrize("n_dimensions", [1, 5, 20])
def test_balanced_points_have_normal_moments(n_dimensions):
    z = points.balanced_points(4 * n_dimensions, n_dimensions)
    assert z.shape == (8 * n_dimensions, n_dimensions)
    assert (z.sum(0).abs() < 1e-12).all()
    close(z.T @ z / len(z), torch.eye(n_dimensions, dtype=torch.float64))
    assert (torch.einsum("ni,nj,nk->ijk", z, z, z).abs() < 1e-9).all()
    assert 2 < z.pow(4).mean() < 3.5


def test_shifts_are_uniform_and_belong_to_samples():
    rows = torch.cartesian_prod(*[torch.arange(2.0)] * 10)
    shifts = points.random_shifts(rows, 3)
    for column in shifts.T:
        assert kstest(column.numpy(), "uniform").statistic < 0.06
    assert shifts.T.corrcoef().fill_diagonal_(0).abs().max() < 0.1
    close(points.random_shifts(rows.flip(0).double(), 3).flip(0), shifts)
