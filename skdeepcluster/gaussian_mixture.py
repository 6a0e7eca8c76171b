"""Gaussian mixtures by expectation maximization, over batches of samples."""

import math
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _check_precisions
from sklearn.utils.validation import check_is_fitted

from .functional.gaussian import (
    Mixture,
    compact_scales,
    joint_density,
    scales_from_precisions,
)
from .functional.points import sample
from .input.checks import (
    LARGEST,
    check_answers,
    check_enough,
    check_finite,
    check_magnitude,
    check_responsibilities,
    check_sample_weight,
    check_shape,
    check_sparse,
    is_dask,
    validate_numbers,
    warn_of_empty,
    warn_user,
)
from .input.dask import read_blocks
from .input.parameters import (
    AUTO,
    COUNT,
    N_CLUSTERS,
    begin_sample,
    copy_shallowly,
    store_parameters,
)
from .input.preparation import Preparation, prepare
from .input.types import Auto, ClusterMixin, Doubles, Labels, fit_context
from .mixture import em
from .nn.runtime import draw_generator, resolve_device
from .partition.search import count_clusters
from .utils.random import random_stream


class GaussianMixtureEM(ClusterMixin, DensityMixin, BaseEstimator):
    r"""Gaussian mixture by EM over batches, for any size of X and weighted samples.

    Parameters and attributes follow :class:`sklearn.mixture.GaussianMixture`.

    Parameters
    ----------
    n_clusters : int, (int, int) or "auto", default=8
        Number of components. "auto" takes the number of clusters that
        :class:`~skdeepcluster.NeighborClustering` finds.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance matrix per component, one for all, or variances per feature or component.
    tol : float, default=0.001
        EM stops when the mean log-likelihood rises by less than this.
    reg_covar : float, default=1e-06
        Added to every variance.
    max_iter : int, default=100
        Maximum number of EM iterations; 0 keeps the initial mixture.
    n_init : int, default=1
        Number of initializations. The run with the highest lower bound is kept.
    init_params : {"kmeans", "k-means++", "random_from_data", "random"}, default="kmeans"
        The initial mixture comes from an M-step on one of these: the best of 10 runs of k-means,
        samples far apart, random samples, or random responsibilities. The runs of k-means are
        divided among the initializations.
    weights_init, means_init : array-like, default=None
        Initial weights and means. They replace the result of ``init_params``.
    precisions_init : array-like, default=None
        Initial inverse covariances, in the shape of ``precisions_``.
    batch_size : int or "auto", default="auto"
        Samples per batch of an EM iteration. It changes time and memory, not results.
    device : str, default="auto"
        Where EM runs, in double precision. "auto" is CUDA if there is a GPU, else the CPU.
    warm_start : bool, default=False
        Continue from the last fit. ``n_init`` is ignored then.
    random_state : int, RandomState instance or None, default=None
        Determines initializations and samples.
    verbose : int, default=0
        1 prints every tenth iteration, 2 its bound as well.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Weight of each component.
    means_ : ndarray of shape (n_clusters, n_features)
        Mean of each component.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses P, and the upper triangular U of P = U U^T. The shape is
        (n_clusters, n_features, n_features) full, (n_features, n_features) tied,
        (n_clusters, n_features) diag, (n_clusters,) spherical.
    mixture_ : skdeepcluster.functional.gaussian.Mixture
        The mixture as torch tensors, float64, on the CPU.
    labels_, probabilities_ : ndarray of shape (n_samples,)
        Component of each sample of X, and its probability.
    converged_ : bool
        Whether the best run reached ``tol``.
    n_clusters_ : int
        Number of components.
    n_clusters_curve_ : Bunch
        As in :class:`~skdeepcluster.NeighborClustering`, if the number was sought.
    n_iter_ : int
        Number of iterations of the best run.
    lower_bound_, lower_bounds_ : float and list of float
        Mean log-likelihood in the last and in each E-step of the best run.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    sklearn.mixture.GaussianMixture : The same model for unweighted arrays in memory.

    Notes
    -----
    EM maximizes the weighted mean of :math:`\log \sum_k \pi_k N(x_n | \mu_k, \Sigma_k)` [1]_. A
    sample of weight 2 equals two samples, in the initialization too. Components that are not the
    most probable one of any sample are placed last, with a warning, so labels have no gaps. At
    most 10,000 samples give the initial mixture.

    Numbers are fitted as they are, and sparse X is made dense one batch at a time. For tables with
    categories or missing values, put a :class:`~skdeepcluster.input.Preparation` before the
    mixture in a Pipeline.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via
       the EM Algorithm", J. R. Stat. Soc. B, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster import GaussianMixtureEM
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> np.sort(mixture.means_[:, 0])
    array([ 1., 10.])
    """

    _parameter_constraints = {
        **GaussianMixture._parameter_constraints,
        "n_clusters": N_CLUSTERS,
        "batch_size": [COUNT, AUTO],
        "device": [str],
    }
    del _parameter_constraints["n_components"]
    del _parameter_constraints["verbose_interval"]

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        batch_size: int | Auto = "auto",
        device: Any = "auto",
        warm_start=False,
        random_state=None,
        verbose=0,
    ) -> None:
        store_parameters(locals())

    # ---- learning

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Fit the mixture to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Memory maps and Dask arrays are read in batches.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a value exceeds 1e100, or samples are too few or too similar for a covariance.
        """
        last = vars(self).get("mixture_") if self.warm_start else None
        bound = -np.inf if last is None else self.lower_bound_
        fitted = copy_shallowly(self)
        stream = random_stream(self.random_state)
        rows, starts = fitted._begin(X, sample_weight, last, stream)
        run = em.run_em(
            rows,
            starts,
            self._m_step,
            max_iter=self.max_iter,
            tol=self.tol,
            bound=bound,
            report=self._report,
        )
        run.mixture = run.mixture.to("cpu")
        labels, probabilities = assign_components(run.mixture, rows)

        if not run.converged and self.max_iter > 0:
            warn_user(
                f"EM did not converge in {len(run.bounds)} iterations. Increase max_iter or tol."
            )
        warn_of_empty(
            len(np.unique(labels)),
            fitted.n_clusters_,
            "components",
            "Decrease n_clusters or reg_covar, or scale X.",
        )
        fitted._set_fitted(run, labels, probabilities)
        self.__dict__ = vars(fitted)
        return self

    # ---- predictions

    def predict(self, X) -> Labels:
        """Return the most probable component of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        ndarray of shape (n_samples,)
            Component labels.
        """
        rows = self._read_fitted(X)
        return assign_components(self.mixture_, rows)[0]

    def predict_proba(self, X) -> Doubles:
        """Return the responsibilities, p(component | sample).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to assign.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Each row sums to one.
        """
        rows = self._read_fitted(X)
        return apply_joint(self.mixture_, rows, partial(torch.softmax, dim=1))

    def score_samples(self, X) -> Doubles:
        """Return the log-likelihood of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.

        Returns
        -------
        ndarray of shape (n_samples,)
            Logarithm of the density.
        """
        rows = self._read_fitted(X)  # before mixture_ is read
        return apply_joint(self.mixture_, rows, log_likelihood)

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Doubles, Labels]:
        """Generate samples from the mixture, or from one of its components.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Component to draw from. None: all, in proportion to their weights.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The samples, sorted by component.
        y : ndarray of shape (n_samples,)
            Their components.
        """
        n_samples, stream = begin_sample(self, n_samples, cluster)
        counts = em.draw_counts(self.weights_, n_samples, cluster, stream)
        generator = draw_generator(stream)
        X = sample(self.mixture_, torch.from_numpy(counts), generator).numpy()
        return X, np.arange(len(counts)).repeat(counts)

    # ---- criteria

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the mean log-likelihood of the samples; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        float
            Weighted mean of ``score_samples(X)``.
        """
        rows = self._read_fitted(X, sample_weight)
        return self._log_likelihood(rows) / rows.total

    def bic(self, X, sample_weight=None) -> float:
        """Return Bayes' information criterion; lower is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights; N is their sum.

        Returns
        -------
        float
            -2 l + p log N, for the log-likelihood l of all samples and p free parameters.
        """
        rows = self._read_fitted(X, sample_weight)
        return self._penalize(rows, math.log(rows.total))

    def aic(self, X, sample_weight=None) -> float:
        """Return Akaike's information criterion, -2 l + 2 p; see ``bic`` for the parameters."""
        return self._penalize(self._read_fitted(X, sample_weight), 2)

    def _log_likelihood(self, rows):
        """Return the log-likelihood of all samples, with their weights."""
        values = apply_joint(self.mixture_, rows, log_likelihood)
        return float(rows.weight @ values)

    def _penalize(self, rows, penalty):
        """Return -2 l + p penalty for the log-likelihood l and p free parameters."""
        n_clusters, n_features = self.means_.shape
        scales = self.mixture_.scales
        n_parameters = n_clusters * (n_features + 1) - 1  # weights sum to one
        if scales.ndim == 3:
            n_parameters += len(scales) * n_features * (n_features + 1) // 2
        else:
            n_parameters += scales.numel()
        return -2 * self._log_likelihood(rows) + n_parameters * penalty

    # ---- steps of a fit

    def _begin(self, X, sample_weight, last, stream):
        """Return X as rows of EM, and the initial mixtures, or the ``last`` one."""
        is_first = last is None
        X = read_samples(self, X, is_first, min_samples=2)
        if is_first:
            self._choose_number(X, sample_weight)
            check_enough(X.shape[0], self.n_clusters_)
        else:
            self._check_continuity(last)

        rows = self._make_rows(X, sample_weight)
        if is_first:
            return rows, self._list_initial(rows, stream)
        return rows, [last.to(rows.device)]

    def _choose_number(self, X, sample_weight):
        """Set the number of components, and the curve of numbers if it is sought."""
        vars(self).pop("n_clusters_curve_", None)
        if isinstance(self.n_clusters, Integral):
            self.n_clusters_ = int(self.n_clusters)
            return
        if is_dask(X):
            raise ValueError(
                f"n_clusters={self.n_clusters!r} compares all samples, but X is a Dask array. "
                "Pass a number."
            )
        self.n_clusters_, self.n_clusters_curve_ = count_clusters(
            prepare(X, Preparation(), sample_weight),
            self.n_clusters,
            sample_weight,
            self.random_state,
        )

    def _check_continuity(self, last):
        """Check that parameters agree with the last mixture."""
        n_clusters, n_features = last.means.shape
        shapes = {
            "full": (n_clusters, n_features, n_features),
            "tied": (1, n_features, n_features),
            "diag": (n_clusters, n_features),
            "spherical": (n_clusters, 1),
        }
        is_other = (
            isinstance(self.n_clusters, Integral) and self.n_clusters != n_clusters
        )
        if is_other or shapes[self.covariance_type] != last.scales.shape:
            raise ValueError(
                f"The fit continues from {n_clusters} components with scales of shape "
                f"{tuple(last.scales.shape)}, but now n_clusters={self.n_clusters!r} and "
                f"covariance_type={self.covariance_type!r}. Keep them, or call fit with "
                "warm_start=False."
            )

    def _read_fitted(self, X, sample_weight=None):
        """Check that the estimator is fitted; return X and its weights as rows."""
        check_is_fitted(self)
        return self._make_rows(read_samples(self, X), sample_weight)

    def _make_rows(self, X, sample_weight):
        """Return checked samples and their weights as rows of EM."""
        weight = check_sample_weight(sample_weight, X)
        batch_size = self.batch_size
        if batch_size == "auto":
            shape = self.n_clusters_, X.shape[1]
            batch_size = em.batch_size_for_cache(*shape, self.covariance_type)
        if is_dask(X):
            return em.DaskRows(X, weight, int(batch_size))
        device = resolve_device(self.device)
        return em.WeightedRows(X, weight, int(batch_size), device)

    @property
    def _m_step(self):
        """The options of the M-step."""
        return em.MStep(self.covariance_type, self.reg_covar)

    def _list_initial(self, rows, random_state):
        """Yield the initial mixtures of EM."""
        fields = self._read_initial(rows.X.shape[1], rows.device)
        if len(fields) == 3:
            yield Mixture(**fields)
            return

        starts = em.initial_mixtures(
            rows,
            self.n_clusters_,
            self._m_step,
            random_state,
            self.init_params,
            self.n_init,
        )
        for mixture in starts:
            yield mixture._replace(**fields)

    def _read_initial(self, n_features, device):
        """Return the fields of ``Mixture`` that are given as parameters, checked."""
        n_clusters = self.n_clusters_
        shape = n_clusters, n_features
        read = partial(torch.tensor, device=device)
        fields = {}
        if self.weights_init is not None:
            weights = check_shape("weights_init", self.weights_init, (n_clusters,))
            check_responsibilities("weights_init", weights[None], (1, n_clusters))
            fields["log_weights"] = read(weights).log()
        if self.means_init is not None:
            fields["means"] = read(check_shape("means_init", self.means_init, shape))
        if self.precisions_init is not None:
            kind = self.covariance_type
            precisions = check_finite("precisions_init", self.precisions_init)
            precisions = read(_check_precisions(precisions, kind, *shape))
            if kind == "tied":
                precisions = precisions[None]
            if kind == "spherical":
                precisions = precisions[:, None]
            fields["scales"] = scales_from_precisions(precisions)
        return fields

    def _report(self, number, run, change):
        """Print a line per initialization and interval."""
        i = len(run.bounds)
        if not self.verbose or i % 10:
            return
        if i == 0:
            print(f"Initialization {number}")
            return
        detail = f"\t lower bound {run.bound:.6f}\t change {change:.6f}"
        print(f"  Iteration {i}{detail if self.verbose > 1 else ''}")

    def _set_fitted(self, run, labels, probabilities):
        """Set the fitted attributes about a run of EM."""
        mixture = run.mixture
        kind = self.covariance_type
        self.mixture_ = mixture
        self.weights_ = mixture.log_weights.exp().numpy()
        self.means_ = mixture.means.clone().numpy()
        self.covariances_ = compact_scales(mixture.covariances(), kind).numpy()
        self.precisions_ = compact_scales(mixture.precisions(), kind).numpy()
        factors = mixture.precision_factors()
        self.precisions_cholesky_ = compact_scales(factors, kind).numpy()
        self.labels_ = labels
        self.probabilities_ = probabilities
        self.converged_ = run.converged
        self.lower_bound_ = run.bound
        self.lower_bounds_ = run.bounds
        self.n_iter_ = len(run.bounds)

    # ---- scikit-learn's protocols

    def __getstate__(self):
        """Return the state with the mixture's tensors as arrays."""
        state = dict(super().__getstate__())
        if "mixture_" in state:
            state["mixture_"] = tuple(field.numpy() for field in state["mixture_"])
        return state

    def __setstate__(self, state):
        """Restore the state, with the mixture's arrays as tensors."""
        super().__setstate__(state)
        if "mixture_" in state:
            fields = (torch.tensor(field, device="cpu") for field in state["mixture_"])
            self.mixture_ = Mixture(*fields)


def read_samples(estimator, X, reset=False, min_samples=None):
    """Return samples, checked, neither copied nor cast; Dask arrays in blocks.

    EM learns from them if ``min_samples`` is given. With ``reset``, the estimator notes their
    features.
    """
    if is_dask(X):
        X, values = read_blocks(X, estimator, reset)
    else:
        X = values = validate_numbers(
            estimator, X, reset, min_samples or 1, allows_nan=False
        )
        if sparse.issparse(X) and reset:
            check_sparse(X)
    if min_samples is not None:
        check_magnitude(values)
    return X


# ---- functions of the log-joint (N, K)

#: From a log-joint (N, K) to the log-likelihood (N,).
log_likelihood = partial(torch.logsumexp, dim=1)


def apply_joint(mixture, rows, function):
    """Apply a function of a mixture's log-joint (N, K) to all samples; check the results."""
    log_joint = joint_density(mixture.to(rows.device))

    def answer(x):
        # Squares of clipped values are finite.
        return function(log_joint(x.clamp(-LARGEST, LARGEST)))

    return check_answers(rows.map(answer), rows.X)


def assign_components(mixture, rows):
    """Return the most probable component of each sample, and its probability, (N,) each."""

    def assign(joint):
        best, label = joint.max(1)
        probability = (best - log_likelihood(joint)).exp()
        return torch.stack([label.double(), probability], 1)

    pairs = apply_joint(mixture, rows, assign)
    return pairs[:, 0].astype(np.int64), pairs[:, 1].copy()
