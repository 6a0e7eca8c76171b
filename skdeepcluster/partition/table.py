"""Numbers and categories side by side: their factors, latent classes, and shares explained.

M samples, E columns, the last ones one-hot; G numbers and categories, K classes.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..input.scaler import NO_WEIGHT

# The criterion was trained with these constants: see criterion/constants.py.

#: Number of samples of a category's usual shares that are added to each class.
PRIOR = 1.0
#: Added to the variances of a class, as a share of their variance in all samples.
REGULARIZATION = 1e-2


@dataclass(frozen=True, eq=False)
class MixedColumns:
    """Columns of a table: numbers, then categories."""

    #: Centered numbers of variance one, then one-hot columns, (M, E).
    columns: np.ndarray
    #: Number of columns of numbers.
    n_numbers: int
    #: Positions of the one-hot columns of each category.
    groups: list
    #: Number or category (E,) of each column.
    owners: np.ndarray

    def take(self, chosen):
        """Return the table of some samples."""
        return replace(self, columns=self.columns[chosen])

    @property
    def share_of_categories(self):
        """Share of categories among numbers and categories."""
        return len(self.groups) / (self.n_numbers + len(self.groups))

    @cached_property
    def points(self):
        """Columns (M, E) in which each number and each category has a total variance of one."""
        centered = self.columns - self.columns.mean(0)
        totals = np.bincount(self.owners, centered.var(0))
        return centered / np.sqrt(totals.clip(1e-12))[self.owners]

    # ---- latent classes

    @cached_property
    def statistics(self):
        """Squares of the numbers, the columns and ones: sufficient statistics (M, S)."""
        numbers = self.columns[:, : self.n_numbers]
        ones = np.ones((len(numbers), 1))
        return np.hstack([np.square(numbers), self.columns, ones])

    @cached_property
    def single_class(self):
        """Mean log-likelihood of a single class."""
        return self.score_classes(np.ones((len(self.columns), 1))).mean()

    def score_classes(self, member):
        """Return the log densities (M, K) of the latent classes of a partition, one-hot (M, K)."""
        statistics = self.statistics
        usual = statistics.mean(0)[:, None]
        return statistics @ self.estimate(statistics.T @ member, usual)

    def estimate(self, sums, usual):
        """Return the coefficients (S, K) of the log densities by sums (S, K) of statistics.

        Numbers are normal and categories multinomial, independent given the class
        (L. Hunt, M. Jorgensen, "Mixture model clustering for mixed data with missing
        information", Computational Statistics & Data Analysis 41, 2003). ``usual`` (S, 1) are the
        means of the statistics.
        """
        n = self.n_numbers
        sizes = sums[-1].clip(1e-10)
        means = sums[n : 2 * n] / sizes
        variances = sums[:n] / sizes - np.square(means)
        variances = variances.clip(0) + REGULARIZATION

        coefficients = np.empty_like(sums)
        coefficients[:n] = -0.5 / variances
        coefficients[n : 2 * n] = means / variances
        constant = np.log(sizes / sizes.sum())
        constant -= 0.5 * (np.log(variances) + np.square(means) / variances).sum(0)
        coefficients[-1] = constant
        for group in self.groups:
            rows = n + np.array(group)
            counts = sums[rows] + PRIOR * usual[rows]
            shares = counts / counts.sum(0).clip(1e-300)
            coefficients[rows] = np.log(shares.clip(1e-12))
        return coefficients


def read_table(samples, groups):
    """Return the :class:`MixedColumns` of the samples of a graph.

    ``groups`` are the one-hot columns of the categories.
    """
    varying = samples.columns
    weights = samples.weights
    columns = samples.reference.rows.astype(float)
    one_hot = [column for group in groups for column in group]
    numbers = np.setdiff1d(varying, one_hot)
    known = [np.intersect1d(group, varying) for group in groups]
    known = [group for group in known if columns[:, group].max(initial=0) > NO_WEIGHT]
    mean = np.average(columns[:, numbers], axis=0, weights=weights)
    centered = columns[:, numbers] - mean
    spread = np.sqrt(np.average(np.square(centered), axis=0, weights=weights))
    parts = [centered / spread.clip(1e-300)]
    parts += [columns[:, group] / columns[:, group].max() for group in known]

    sizes = list(map(len, known))
    ends = np.cumsum([len(numbers), *sizes])
    owners = np.arange(len(numbers) + len(known))
    return MixedColumns(
        columns=np.hstack(parts),
        n_numbers=len(numbers),
        groups=[list(range(*pair)) for pair in zip(ends[:-1], ends[1:], strict=True)],
        owners=np.repeat(owners, [1] * len(numbers) + sizes),
    )
