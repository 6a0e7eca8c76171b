"""MixtureDisplay: the components of a Gaussian mixture as ellipses among the samples."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from .base import COLORS, Display, check_has, check_shape, draw_legend, take_last_step
from .embedding import EmbeddingDisplay


@dataclass(eq=False, repr=False)
class MixtureDisplay(Display):
    """Ellipses of the components of a mixture, with the samples.

    More than two dimensions are projected on the first two principal components of the samples.

    Parameters
    ----------
    points : array-like of shape (n_samples, n_components)
        Samples, or their codes.
    means : array-like of shape (n_clusters, n_components)
    covariances : array-like
        Covariances in scikit-learn's shape for this ``covariance_type``.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    labels : array-like of shape (n_samples,), default=None
        Clusters of the points, which set their colors.
    name : str, default=None

    Attributes
    ----------
    ellipses_ : list of matplotlib Ellipse
        For each component and each number of standard deviations.
    legend_ : matplotlib Legend

    See Also
    --------
    EmbeddingDisplay : The samples alone, with other projections.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.display import MixtureDisplay
    >>> X, _ = make_blobs(100, n_features=5, random_state=0)
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> len(MixtureDisplay.from_estimator(mixture, X).ellipses_)
    6
    """

    points: Any
    means: ArrayLike
    covariances: ArrayLike
    _: KW_ONLY
    covariance_type: str = "full"
    labels: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls, estimator, X, *, labels=None, name=None, ax=None, **kwargs
    ) -> Self:
        """Draw the mixture of a fitted estimator, in its codes if it has ``transform``.

        The default of `labels` is ``predict(X)``.
        """
        _, name = take_last_step(estimator, name)
        check_has(estimator, "means_", "covariances_", remedy="Use EmbeddingDisplay.")
        display = cls(
            estimator.transform(X) if hasattr(estimator, "transform") else X,
            estimator.means_,
            estimator.covariances_,
            covariance_type=getattr(estimator, "covariance_type", "diag"),
            labels=estimator.predict(X) if labels is None else labels,
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, n_std=(1.0, 2.0), **kwargs) -> Self:
        """Draw ellipses at `n_std` standard deviations from the mean, one number or several.

        :meth:`EmbeddingDisplay.plot` draws the samples with ``kwargs``.
        """
        points = self.points.toarray() if issparse(self.points) else self.points
        means = check_shape(
            "means", self.means, "n_clusters", np.shape(points)[1], dtype=float
        )
        covariances = expand_covariances(
            self.covariances, self.covariance_type, *means.shape
        )
        if means.shape[1] == 1:
            raise ValueError(
                "points has one column, but ellipses need two. Draw a histogram."
            )
        embedding = EmbeddingDisplay(points, self.labels, method="pca", name=self.name)
        embedding.plot(ax, **{"alpha": 0.5, **kwargs})
        self.figure_, self.ax_ = embedding.figure_, embedding.ax_
        view = np.eye(2)
        if (pca := embedding.projection_) is not None:
            view, means = pca.components_, pca.transform(means)
        n_std = np.atleast_1d(n_std)
        self.ellipses_ = [
            self._draw_ellipse(
                COLORS[k % len(COLORS)], mean, view @ covariance @ view.T, n
            )
            for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True))
            for n in n_std
        ]
        label = f"component:\n{', '.join(f'{n:g}' for n in n_std)} standard\ndeviations"
        style = {"ls": "", "marker": "o", "ms": 9, "mfc": "none", "color": "0.2"}
        self.ax_.plot([], [], label=label, **style)
        self.legend_ = draw_legend(self.ax_)
        self.ax_.autoscale_view()
        return self

    def _draw_ellipse(self, color, mean, covariance, n_std):
        from matplotlib.patches import Ellipse

        values, vectors = np.linalg.eigh(covariance)
        width, height = 2 * n_std * np.sqrt(np.maximum(values, 0))
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        style = {"fill": False, "edgecolor": color, "linewidth": 1.8}
        return self.ax_.add_patch(Ellipse(mean, width, height, angle=angle, **style))


def expand_covariances(covariances, covariance_type, n_clusters, n_features):
    """Return covariances of any type as matrices, (n_clusters, n_features, n_features)."""
    full = n_clusters, n_features, n_features
    shape = {"full": full, "tied": full[1:], "diag": full[:2], "spherical": full[:1]}
    name = f"covariances of type {covariance_type!r}"
    covariances = check_shape(name, covariances, *shape[covariance_type], dtype=float)
    if covariance_type in ("full", "tied"):
        return np.broadcast_to(covariances, full)
    return covariances.reshape(n_clusters, -1, 1) * np.eye(n_features)
