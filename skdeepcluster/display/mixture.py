"""MixtureDisplay: the components of a Gaussian mixture as ellipses among the points."""

from typing import Self

import numpy as np
from sklearn.decomposition import PCA

from .axes import COLORS, check_fitted, choose_colors, make_axes, name_estimator
from .embedding import (
    EmbeddingDisplay,
    describe_projection,
    find_embedding,
    label_components,
    place_legend,
)


class MixtureDisplay:
    """Ellipses of a mixture's components, with the rows they describe.

    With more than two dimensions points and components are projected on the first two principal
    components of the points; the projection of a Gaussian is a Gaussian.

    Parameters
    ----------
    points : array-like of shape (n_samples, n_components)
        Rows, or codes: what the mixture is a mixture of.
    means : array-like of shape (n_clusters, n_components)
    covariances : array-like
        As scikit-learn's: of shape (n_clusters, n_components, n_components),
        (n_components, n_components) for all alike, (n_clusters, n_components) for diagonals, or
        (n_clusters,) for spheres, as ``covariance_type`` says.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    labels : array-like of shape (n_samples,), default=None
        Colours of the points.
    feature_names : array-like of str of shape (n_components,), default=None
        Names of two columns, for the axes. Those of a DataFrame if None.
    source : str, default=None
        What the points are, as ``"transform(X)"``: part of the title and the names of axes.
    name : str, default=None
        Title of the picture. None: projection, `source`, numbers of rows and columns.

    Attributes
    ----------
    ellipses_ : list of matplotlib Ellipse
        For each component and each number of standard deviations.
    legend_ : matplotlib Legend or None
        The labels, and what the ellipses are; None if not wanted.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn.

    See Also
    --------
    EmbeddingDisplay : The rows alone, in a layout of their neighbours.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_blobs
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.display import MixtureDisplay
    >>> X, _ = make_blobs(100, n_features=5, random_state=0)
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> len(MixtureDisplay.from_estimator(mixture, X).ellipses_)
    6
    >>> plt.close("all")
    """

    def __init__(
        self,
        points,
        means,
        covariances,
        *,
        covariance_type: str = "full",
        labels=None,
        feature_names=None,
        source: str | None = None,
        name: str | None = None,
    ) -> None:
        self.points = points
        self.means = means
        self.covariances = covariances
        self.covariance_type = covariance_type
        self.labels = labels
        self.feature_names = feature_names
        self.source = source
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator, X, *, labels=None, name: str | None = None, ax=None, **kwargs
    ) -> Self:
        """Draw the mixture of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With ``means_`` and ``covariances_``: GaussianMixtureEM and scikit-learn's
            GaussianMixture (of the rows), VAEEmbedding, VaDEClustering and DACClustering (of the
            codes).
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        labels : array-like of shape (n_samples,), default=None
            Colours in place of ``estimator.predict(X)``.
        name, ax, **kwargs
            As of `plot`; the title begins with the name of the estimator's class if None.

        Returns
        -------
        display : MixtureDisplay
        """
        check_fitted(estimator)
        if not hasattr(estimator, "covariances_"):
            raise TypeError(
                f"{type(estimator).__name__} has no mixture to draw: means_ and covariances_ are "
                "missing. Draw its clusters by EmbeddingDisplay."
            )
        points, source = find_embedding(estimator, X)
        display = cls(
            points,
            estimator.means_,
            estimator.covariances_,
            covariance_type=getattr(estimator, "covariance_type", "diag"),
            labels=estimator.predict(X) if labels is None else labels,
            source=source,
        )
        display.name = name
        if name is None:
            described = describe_projection(points, "pca", source)
            display.name = f"{name_estimator(estimator)}\n{described}"
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name: str | None = None, n_std=(1.0, 2.0), **kwargs) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        n_std : sequence of float, default=(1.0, 2.0)
            Standard deviations from the mean at which ellipses are drawn.
        **kwargs : dict
            Passed to :meth:`EmbeddingDisplay.plot`.

        Returns
        -------
        display : MixtureDisplay
            The display itself.
        """
        points = self.points.toarray() if hasattr(self.points, "toarray") else self.points
        points, means = np.asarray(points, dtype=float), np.asarray(self.means, dtype=float)
        if points.ndim != 2 or means.ndim != 2 or points.shape[1] != means.shape[1]:
            raise ValueError(
                f"points {points.shape} and means {means.shape} must have as many columns."
            )
        covariances = expand_covariances(self.covariances, self.covariance_type, *means.shape)
        if means.shape[1] == 1:
            raise ValueError("A mixture of one dimension has no ellipses to draw.")
        projected = EmbeddingDisplay(self.points, self.labels, source=self.source)
        title = self.name if name is None else name
        title = describe_projection(points, "pca", self.source) if title is None else title
        projected.feature_names = self.feature_names
        view, centre = np.eye(2), np.zeros(2)
        if means.shape[1] > 2:
            pca = PCA(2).fit(points)
            view, centre = pca.components_, pca.mean_
            projected.embedding = (points - centre) @ view.T
            projected.feature_names = label_components(pca)
        n_std = np.atleast_1d(n_std)
        self.figure_, self.ax_ = make_axes(ax, (6.4, 4.8))
        projected.plot(ax=self.ax_, name=title, **{"alpha": 0.5, **kwargs})
        colors = self._match_colors(len(means))
        self.ellipses_ = [
            self._draw_ellipse(colors[k], view @ (mean - centre), view @ covariance @ view.T, n)
            for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True))
            for n in n_std
        ]
        self.legend_ = self._explain_ellipses(n_std) if kwargs.get("legend", True) else None
        self.ax_.autoscale_view()
        return self

    def _match_colors(self, n_clusters):
        """Return each component's colour: that of its points, if labels number the components."""
        found = np.unique([] if self.labels is None else self.labels)
        if found.dtype.kind not in "iu" or not np.isin(found, np.arange(-1, n_clusters)).all():
            found = np.arange(n_clusters)
        known = dict(zip(found.tolist(), choose_colors(found)[0], strict=True))
        return [known.get(k, COLORS[k % len(COLORS)]) for k in range(n_clusters)]

    def _explain_ellipses(self, n_std):
        """Draw the legend of the points with a line for the ellipses."""
        from matplotlib.lines import Line2D

        old = self.ax_.get_legend()
        handles = [] if old is None else list(old.legend_handles)
        numbers = ", ".join(f"{n:g}" for n in n_std)
        plural = "s" * (tuple(n_std) != (1,))
        label = f"component:\n{numbers} standard\ndeviation{plural}"
        style = {"ls": "", "marker": "o", "ms": 9, "mfc": "none", "color": "0.2"}
        return place_legend(self.ax_, [*handles, Line2D([], [], label=label, **style)])

    def _draw_ellipse(self, color, mean, covariance, n_std):
        from matplotlib.patches import Ellipse

        values, vectors = np.linalg.eigh(covariance)
        width, height = 2 * n_std * np.sqrt(np.maximum(values, 0))
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        style = {"fill": False, "edgecolor": color, "linewidth": 1.8}
        return self.ax_.add_patch(Ellipse(mean, width, height, angle=angle, **style))


def expand_covariances(covariances, covariance_type, n_clusters, n_features):
    """Return covariances of any type as matrices, (n_clusters, n_features, n_features)."""
    covariances = np.asarray(covariances, dtype=float)
    shapes = {
        "full": (n_clusters, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_clusters, n_features),
        "spherical": (n_clusters,),
    }
    if covariance_type not in shapes:
        raise ValueError(
            f"covariance_type must be one of {', '.join(shapes)}, got {covariance_type!r}."
        )
    if covariances.shape != shapes[covariance_type]:
        raise ValueError(
            f"{covariance_type} covariances of {n_clusters} components must have shape "
            f"{shapes[covariance_type]}, got {covariances.shape}."
        )
    if covariance_type == "tied":
        return np.broadcast_to(covariances, (n_clusters, *covariances.shape))
    if covariance_type == "full":
        return covariances
    variances = covariances.reshape(n_clusters, -1, 1)  # one, or one for each feature
    return variances * np.eye(n_features)
