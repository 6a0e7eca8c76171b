"""Gaussian mixtures by expectation maximization, over batches of samples."""

import math
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin, clone
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _check_precisions
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from .functional.gaps import conditional_means, observed_density
from .functional.gaussian import Mixture, compact_scales, scales_from_precisions
from .functional.losses import entropy
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
    is_dask,
    warn_of_empty,
    warn_user,
)
from .input.columns import KINDS, read_types
from .input.dask import read_blocks
from .input.documentation import shared_docs
from .input.parameters import (
    AUTO,
    COUNT,
    N_CLUSTERS,
    begin_sample,
    forget_missing,
    random_stream,
    read_n_clusters,
    store_parameters,
    with_plain_numbers,
)
from .input.preparation import Preparation, Prepared
from .input.types import Auto, ClusterMixin, Doubles, Labels, fit_context
from .mixture import em
from .nn.runtime import draw_generator, resolve_device
from .partition.search import count_clusters

#: Minimum of the term added to the variances of prepared columns, whose numbers have variance
#: one: one-hot columns have a singular covariance, and without it components lock on categories.
LEAST_VARIANCE = 0.05


@shared_docs
class GaussianMixtureEM(ClusterMixin, DensityMixin, BaseEstimator):
    r"""Gaussian mixture by EM over batches, for any size of X and weighted samples.

    Parameters and attributes follow :class:`sklearn.mixture.GaussianMixture`.

    Parameters
    ----------
    n_clusters : int, (int, int) or "auto"
        Number of components. "auto" takes the number of clusters that
        :class:`~skdeepcluster.NeighborClustering` finds.
    covariance_type : {"full", "tied", "diag", "spherical"}
        One covariance matrix per component, one for all, or variances per feature or component.
    tol : float
        EM stops when the mean log-likelihood rises by less than this.
    reg_covar : float
        Added to every variance; with categories, at least 0.05.
    max_iter : int
        Maximum number of EM iterations; 0 keeps the initial mixture.
    n_init : int
        Number of initializations. The run with the highest lower bound is kept.
    init_params : str or array-like of shape (n_samples, n_clusters)
        The initial mixture comes from an M-step on one of these: the best of 10 runs of k-means
        ("kmeans"), samples far apart ("k-means++"), random samples ("random_from_data"), or random
        ("random") or given responsibilities. The runs of k-means are divided among the
        initializations.
    weights_init, means_init : array-like
        Initial weights and means. They replace the result of ``init_params``.
    precisions_init : array-like
        Initial inverse covariances, in the shape of ``precisions_``.
    learning_decay : float
        Call t of ``partial_fit`` gives the statistics of the batch the weight
        ``(learning_offset + t - 1) ** -learning_decay``; 0 forgets earlier batches.
    learning_offset : float
        Larger values make the first steps of ``partial_fit`` smaller.
    batch_size : int or "auto"
        Samples per batch of an EM iteration. It changes time and memory, not results.
    device : str or torch.device
        Where EM runs, in double precision. "auto" is CUDA if there is a GPU, else the CPU.
    warm_start : bool
        Continue from the last fit. ``n_init`` is ignored then.
    random_state : int, RandomState instance or None
        Determines initializations and samples.
    verbose : int
        1 prints initializations and iterations, 2 the bounds as well.
    verbose_interval : int
        Number of iterations between two lines.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Weight of each component.
    means_ : ndarray of shape (n_clusters, n_features)
        Mean of each component. With categories, features are the columns that
        ``preparation_.transform`` returns, named by ``preparation_.get_feature_names_out()``.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses P, and the upper triangular U of P = U U^T. The shape is
        (n_clusters, n_features, n_features) full, (n_features, n_features) tied,
        (n_clusters, n_features) diag, (n_clusters,) spherical.
    mixture_ : skdeepcluster.functional.gaussian.Mixture
        The mixture as torch tensors, float64, on the CPU.
    labels_, probabilities_ : ndarray of shape (n_samples,)
        Component of each sample of X or the last batch of ``partial_fit``, and its probability.
    converged_ : bool
        Whether the best run reached ``tol``.
    n_clusters_ : int
        Number of components.
    n_clusters_curve_ : Bunch
        As in :class:`~skdeepcluster.NeighborClustering`, if the number was sought.
    n_iter_, n_batch_iter_ : int
        Number of iterations of the best run, and of steps of ``partial_fit`` since the last fit.
    lower_bound_, lower_bounds_ : float and list of float
        Mean log-likelihood in the last and in each E-step of the best run.
    batch_size_, device_ : int and str
        Samples per batch, and where EM ran.

    See Also
    --------
    sklearn.mixture.GaussianMixture : The same model for unweighted arrays in memory.

    Notes
    -----
    EM maximizes the weighted mean of :math:`\log \sum_k \pi_k N(x_n | \mu_k, \Sigma_k)` [1]_. A
    sample of weight 2 equals two samples, in the initialization too. Components that are not the
    most probable one of any sample are placed last, with a warning, so labels have no gaps.

    Missing values are nan. Fits and predictions use the density of a sample's observed features,
    which is exact if values are missing at random [3]_. Initial mixtures fill in the mean of the
    feature. Sparse X must have no missing values, and is made dense one batch at a time.

    Numbers alone, also numbers of two values, are fitted as they are. With categories, or with
    kinds in a dict, the mixture is that of prepared samples: numbers of variance one, amounts as
    logarithms, then weighted one-hot columns.

    ``partial_fit`` is stepwise EM [2]_. Its first batch should have many samples per cluster. A
    component with less than one effective sample is replaced by half of the heaviest component.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via
       the EM Algorithm", J. R. Stat. Soc. B, 1977.
    .. [2] O. Cappe, E. Moulines, "On-line Expectation-Maximization Algorithm for Latent Data
       Models", J. R. Stat. Soc. B, 2009.
    .. [3] Z. Ghahramani, M. I. Jordan, "Supervised Learning from Incomplete Data via an EM
       Approach", NIPS, 1994.

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
        "kinds": KINDS,
        "init_params": [
            *GaussianMixture._parameter_constraints["init_params"],
            "array-like",
        ],
        "learning_decay": [Interval(Real, 0.0, 1.0, closed="both")],
        "learning_offset": [Interval(Real, 1.0, None, closed="left")],
        "batch_size": [COUNT, AUTO],
        "device": [str, torch.device],
    }
    del _parameter_constraints["n_components"]

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        kinds: Any = "auto",
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params: Any = "kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        learning_decay=0.7,
        learning_offset=10.0,
        batch_size: int | Auto = "auto",
        device: Any = "auto",
        warm_start=False,
        random_state=None,
        verbose=0,
        verbose_interval=10,
    ) -> None:
        store_parameters(locals())

    # ---- learning

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None) -> Self:
        """Fit the mixture to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Memory maps and Dask arrays are read in batches. Missing values are nan.
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
        stream = random_stream(self.random_state)
        rows, starts, preparation, curve = self._begin(
            X, sample_weight, last, stream, 2
        )
        run = em.run_em(
            rows,
            starts,
            self._make_m_step(preparation),
            max_iter=self.max_iter,
            tol=self.tol,
            bound=-np.inf if last is None else self.lower_bound_,
            report=self._report,
        )
        run.mixture, *assigned = order_components(run.mixture.to("cpu"), rows)

        if not run.converged and self.max_iter > 0:
            warn_user(
                f"EM did not converge in {len(run.bounds)} iterations. Increase max_iter or tol."
            )
        remedy = "Decrease n_clusters or reg_covar, or scale X."
        n_found = len(np.unique(assigned[0]))
        warn_of_empty(n_found, len(run.mixture.means), "components", remedy)
        self._set_fitted(run, rows, assigned, preparation, curve)
        self.n_batch_iter_ = 0
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None) -> Self:
        """Take one step of stepwise EM on a batch; the first batch gives the initial mixture.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            One batch.
        y : Ignored
            Present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        last = vars(self).get("mixture_")
        stream = random_stream(self.random_state)
        rows, starts, preparation, curve = self._begin(
            X, sample_weight, last, stream, 1
        )

        step = 1 if last is None else self.n_batch_iter_ + 1
        rate = (float(self.learning_offset) + step - 1) ** -self.learning_decay
        mixture, bound = em.step(
            rows, next(starts), self._make_m_step(preparation), rate
        )
        least = min(rate / rows.X.shape[0], 0.01 / len(mixture.means))
        mixture = em.reseed_starved(mixture, least, draw_generator(stream)).to("cpu")

        run = em.EMRun(mixture, bound, [bound])
        assigned = assign_components(mixture, rows)
        self._set_fitted(run, rows, assigned, preparation, curve)
        self.n_batch_iter_ = step
        self.n_iter_ = step
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
        rows = self._check_fitted(X)
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
        rows = self._check_fitted(X)
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
        rows = self._check_fitted(X)  # before mixture_ is read
        return apply_joint(self.mixture_, rows, log_likelihood)

    def impute(self, X) -> Any:
        """Replace missing values by their conditional means, given the observed features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, with nan for missing values.

        Returns
        -------
        X_imputed : {ndarray, DataFrame} of shape (n_samples, n_features)
            E[x | observed features] by the mixture, and the most probable categories; observed
            values unchanged.
        """
        rows = self._check_fitted(X)
        expect = conditional_means(self.mixture_.to(rows.device))

        def fill(x):
            expected = expect(x.clamp(-LARGEST, LARGEST))
            return torch.where(x.isnan(), expected, x)

        filled = check_answers(rows.map(fill), rows.X)
        return self.preparation_.fill(X, self.preparation_.unscale(filled))

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
        X : ndarray or DataFrame of shape (n_samples, n_features)
            The samples, sorted by component; a table if X was one with categories, which are drawn
            given the numbers.
        y : ndarray of shape (n_samples,)
            Their components.
        """
        n_samples, random_state = begin_sample(self, n_samples)
        counts = em.draw_counts(self.weights_, n_samples, cluster, random_state)
        generator = draw_generator(random_state)
        X = sample(self.mixture_, torch.from_numpy(counts), generator).numpy()
        y = np.repeat(np.arange(len(counts)), counts)
        preparation = self.preparation_
        if preparation.groups_:
            draw_categories(self.mixture_, X, y, preparation, random_state)
        return preparation.decode(preparation.unscale(X), random_state), y

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
        return self._average(log_likelihood, self._check_fitted(X, sample_weight))

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
        rows = self._check_fitted(X, sample_weight)
        return self._penalize(rows, math.log(rows.total))

    def aic(self, X, sample_weight=None) -> float:
        """Return Akaike's information criterion, -2 l + 2 p; see ``bic`` for the parameters."""
        return self._penalize(self._check_fitted(X, sample_weight), 2)

    def icl(self, X, sample_weight=None) -> float:
        """Return the integrated completed likelihood; see ``bic`` for the parameters.

        It adds twice the entropies of all responsibilities to BIC. Lower is better.
        """
        rows = self._check_fitted(X, sample_weight)
        bic = self._penalize(rows, math.log(rows.total))
        unsure = self._average(lambda joint: entropy(joint.log_softmax(1)), rows)
        return bic + 2 * unsure * rows.total

    def _average(self, function, rows):
        """Return the weighted mean of a function of the log-joint."""
        values = apply_joint(self.mixture_, rows, function)
        return float(rows.weight @ values) / rows.total

    def _penalize(self, rows, penalty):
        """Return -2 l + p penalty for the log-likelihood l and p free parameters."""
        n_clusters, n_features = self.means_.shape
        scales = self.mixture_.scales
        n_parameters = n_clusters * (n_features + 1) - 1  # weights sum to one
        if scales.ndim == 3:
            n_parameters += len(scales) * n_features * (n_features + 1) // 2
        else:
            n_parameters += scales.numel()
        likelihood = self._average(log_likelihood, rows)
        return -2 * likelihood * rows.total + n_parameters * penalty

    # ---- steps of a fit

    def _begin(self, X, sample_weight, last, stream, n_least):
        """Return the rows and the initial mixtures of EM, the preparation of X, and a curve.

        The curve of the numbers of clusters is None for a given number. The fit continues from
        the mixture ``last``, unless it is None.
        """
        if last is None:
            plain = with_plain_numbers(self)
            preparation, n_clusters, curve = read_columns(
                plain, X, sample_weight, n_least
            )
            n_least = max(n_least, n_clusters)
        else:
            self._check_continuity()
            preparation = self.preparation_
            n_clusters = self.n_clusters_
            curve = vars(self).get("n_clusters_curve_")

        rows = self._read_rows(
            X, sample_weight, preparation, n_clusters, last is None, n_least
        )
        check_memory(self.covariance_type, n_clusters, rows.X.shape[1])
        if last is None:
            m_step = self._make_m_step(preparation)
            starts = self._list_initial(rows, n_clusters, m_step, stream)
        else:
            starts = iter([last.to(rows.device)])
        return rows, starts, preparation, curve

    def _check_continuity(self):
        """Check that parameters agree with the fitted mixture."""
        pairs = {
            "n_clusters": (self.n_clusters_, self.n_clusters),
            "covariance_type": (self._covariance_type, self.covariance_type),
        }
        for name, (value, now) in pairs.items():
            among = read_n_clusters(now).numbers if isinstance(now, tuple) else (now,)
            if now != "auto" and value not in among:
                raise ValueError(
                    f"The fit continues from a mixture with {name}={value!r}, but now "
                    f"{name}={now!r}. Keep it, or call fit with warm_start=False."
                )

    def _check_fitted(self, X, sample_weight=None):
        """Check that the estimator is fitted; return X and its weights as rows."""
        check_is_fitted(self)
        return self._read_rows(X, sample_weight, self.preparation_, self.n_clusters_)

    def _read_rows(
        self, X, sample_weight, preparation, n_clusters, is_first=False, n_least=None
    ):
        """Return X and its weights, checked, as rows of EM; numbers are neither copied nor cast.

        EM learns from them if ``n_least`` is the minimum number of samples. The first blocks of
        Dask decide the features.
        """
        is_lazy = is_dask(X)
        if is_lazy:
            X, values = read_blocks(X, preparation, is_first)
        else:
            X = values = preparation.encode(X)
            if preparation.factors_ is not None:
                X = values = preparation.scale(X)
        if n_least is not None:
            check_enough(X.shape[0], n_least)
            check_magnitude(values)

        weight = check_sample_weight(sample_weight, X)
        batch_size = self.batch_size
        if batch_size == "auto":
            shape = n_clusters, X.shape[1]
            batch_size = em.batch_size_for_cache(*shape, self.covariance_type)
        if is_lazy:
            return em.DaskRows(X, weight, int(batch_size))
        device = resolve_device(self.device)
        return em.WeightedRows(X, weight, int(batch_size), device)

    def _make_m_step(self, preparation):
        """Return the options of the M-step."""
        least = 0.0 if preparation.factors_ is None else LEAST_VARIANCE
        return em.MStep(self.covariance_type, max(self.reg_covar, least))

    def _list_initial(self, rows, n_clusters, m_step, random_state):
        """Yield the initial mixtures of EM."""
        fields = self._read_initial(n_clusters, rows.X.shape[1], rows.device)
        if len(fields) == 3:
            yield Mixture(**fields)
            return

        init = self.init_params
        n_init = self.n_init
        if not isinstance(init, str):
            shape = rows.X.shape[0], n_clusters
            init = check_responsibilities("init_params", init, shape)
            n_init = 1
        generator = draw_generator(random_state)
        initializer = em.Initializer(rows, n_clusters, m_step, generator)
        for _ in range(n_init):
            yield initializer.initialize(init, n_init)._replace(**fields)

    def _read_initial(self, n_clusters, n_features, device):
        """Return the fields of ``Mixture`` that are given as parameters, checked."""
        read = partial(torch.tensor, device=device)
        fields = {}
        if self.weights_init is not None:
            weights = check_shape("weights_init", self.weights_init, (n_clusters,))
            least = weights.min()
            total = weights.sum()
            if least < 0 or not math.isclose(total, 1, abs_tol=1e-6):
                raise ValueError(
                    "The parameter 'weights_init' should be at least 0 and sum to 1, but the "
                    f"minimum is {least:.6g} and the sum {total:.6g}."
                )
            fields["log_weights"] = read(weights).log()
        shape = n_clusters, n_features
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
        if not self.verbose or i % int(self.verbose_interval):
            return
        if i == 0:
            print(f"Initialization {number}")
            return
        detail = f"\t lower bound {run.bound:.6f}\t change {change:.6f}"
        print(f"  Iteration {i}{detail if self.verbose > 1 else ''}")

    def _set_fitted(self, run, rows, assigned, preparation, curve):
        """Set the fitted attributes at the end of a fit."""
        mixture = run.mixture
        kind = self.covariance_type
        self.mixture_ = mixture
        self.weights_ = mixture.log_weights.exp().numpy()
        self.means_ = mixture.means.clone().numpy()
        self.covariances_ = compact_scales(mixture.covariances(), kind).numpy()
        self.precisions_ = compact_scales(mixture.precisions(), kind).numpy()
        factors = mixture.precision_factors()
        self.precisions_cholesky_ = compact_scales(factors, kind).numpy()
        self._covariance_type = kind
        self.labels_, self.probabilities_ = assigned
        self.n_clusters_ = len(mixture.means)

        self.converged_ = run.converged
        self.lower_bound_ = run.bound
        self.lower_bounds_ = run.bounds
        self.n_iter_ = len(run.bounds)
        self.batch_size_ = rows.batch_size
        self.device_ = str(rows.device)

        preparation.write_input(self)
        self.n_clusters_curve_ = curve
        forget_missing(self, "n_clusters_curve_")

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def read_columns(estimator, X, sample_weight, n_least):
    """Return the preparation of X, the number of components, and its curve if it is sought.

    Numbers alone keep their units; the number is sought where they are comparable.
    """
    n_clusters = estimator.n_clusters
    is_given = isinstance(n_clusters, Integral)
    preparation = Preparation(estimator.kinds, name=type(estimator).__name__)
    plain = clone(preparation).set_params(learns_kinds=False)
    if is_dask(X):
        if is_given:
            return plain, n_clusters, None
        raise ValueError(
            f"n_clusters={n_clusters!r} compares all samples, but X is a Dask array. Pass a "
            "number."
        )

    encoded = preparation.fit_encode(X, sample_weight, n_least)
    has_kinds = (
        isinstance(estimator.kinds, dict)
        or "category" in preparation.kinds_.values()
        or estimator.kinds == "auto"
        and "flag" in read_types(X).values()
    )
    if not has_kinds:
        plain.fit_encode(X, min_samples=n_least)
    if has_kinds or not is_given:
        preparation.fit_scale(encoded, sample_weight)
    curve = None
    if not is_given:
        n_clusters, curve = count_clusters(
            Prepared(preparation.fit_compare(encoded, sample_weight), preparation),
            n_clusters,
            sample_weight,
            estimator.random_state,
        )
    return preparation if has_kinds else plain, n_clusters, curve


#: Number of covariances of a component that EM stores at a time.
N_STORED = 6


def check_memory(kind, n_clusters, n_features):
    """Check that there is memory for the covariances of all pairs of features."""
    n_stored = N_STORED * {"full": n_clusters, "tied": 1}.get(kind, 0)
    try:
        np.empty((n_stored, n_features, n_features))
    except MemoryError as error:
        raise MemoryError(
            f"Covariances of {n_features} features do not fit into memory. Set "
            "covariance_type='diag', or take principal components."
        ) from error


# ---- functions of the log-joint (N, K)

#: From a log-joint (N, K) to the log-likelihood (N,).
log_likelihood = partial(torch.logsumexp, dim=1)


def apply_joint(mixture, rows, function):
    """Apply a function of a mixture's log-joint (N, K) to all samples; check the results."""
    log_joint = observed_density(mixture.to(rows.device))

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


def order_components(mixture, rows):
    """Return a mixture whose last components have no samples, labels and probabilities."""
    labels, probabilities = assign_components(mixture, rows)
    empty = np.bincount(labels, rows.weight, len(mixture.means)) == 0
    if not empty.any():
        return mixture, labels, probabilities
    mixture = mixture.reorder(np.argsort(empty, kind="stable"))
    return mixture, *assign_components(mixture, rows)


def draw_categories(mixture, X, labels, preparation, random_state):
    """Draw the categories of samples X (N, E) of a mixture, given their numbers, in place.

    Each is drawn given the categories before it, because the one-hot columns of a normal
    distribution are no categories.
    """
    groups = preparation.groups_
    X[:, groups[0][0] :] = np.nan
    for k in np.unique(labels):
        expect = conditional_means(mixture.components()[k])
        rows = X[labels == k]
        for group in groups:
            shares = expect(torch.from_numpy(rows))[:, group].numpy().clip(0)
            shares /= random_state.standard_exponential(shares.shape)
            chosen = np.eye(len(group))[shares.argmax(1)]
            rows[:, group] = chosen * preparation.factors_[group]
        X[labels == k] = rows
