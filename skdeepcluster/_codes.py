"""Answers of a GAN that reads its codes back: codes of rows, rows of codes, reports, score."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from ._mixins import EmbedMixin
from ._report import report
from .engine.randomness import draw_seed, random_stream, seeded
from .modules.latent import Codes

#: Values of a continuous code that :meth:`CodesMixin.traverse` goes through, as in the paper.
SWEEP = np.linspace(-2, 2, 9)


class CodesMixin(EmbedMixin):
    """What is done with codes, given a model with a ``latent`` space that it draws and reads."""

    def transform(self, X):
        """Posterior of all codes, as Q reads them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to read.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_codes), float32
            Probabilities of the clusters, of the values of each further categorical code, and
            means of the continuous codes, named by :meth:`get_feature_names_out`.
        """
        return super().transform(X)

    def inverse_transform(self, X):
        """Rows that codes stand for, generated with all noise at its centre.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes in the layout of :meth:`transform`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            In the units of the training data; rows alike in all codes come out the same.
        """
        return super().inverse_transform(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the features seen in fit; the names of codes do not depend on it.

        Returns
        -------
        names : ndarray of str
            "cluster_0", ..., "category1_0", ..., "continuous0", ...
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        latent = self.model_.latent
        categories = zip(self.code_names_, latent.sizes, strict=False)
        names = [f"{name}_{value}" for name, size in categories for value in range(size)]
        return np.array([*names, *self.code_names_[len(latent.sizes) :]], dtype=object)

    def sample(self, n_samples=1, cluster=None, codes=None):
        """Generate rows from drawn noise and codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        cluster : int, default=None
            Of this cluster only. None: of all, by their weights.
        codes : mapping of str to number or array of shape (n_samples,), default=None
            Values of further codes by their names in ``code_names_``; those not given are drawn.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the training data. An int ``random_state`` draws the same rows on
            every call.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeepcluster import InfoGANClustering
        >>> gan = InfoGANClustering(3, hidden_layer_sizes=(16,), n_noise=4, random_state=0)
        >>> gan.fit(load_iris().data).sample(5, cluster=1, codes={"continuous0": 0.5}).shape
        (5, 4)
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=1)
        codes = {} if codes is None else dict(codes)
        if cluster is not None:
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=len(self.weights_) - 1)
            codes["cluster"] = cluster
        drawn = self._set(self._draw(n_samples), codes)
        return self._render(drawn)

    def traverse(self, code, values=None, *, n_samples=1, cluster=None):
        """Rows that differ in one code only.

        Parameters
        ----------
        code : str
            One of ``code_names_``.
        values : array-like of shape (n_values,), default=None
            What the code goes through. None: from -2 to 2 for a continuous code (it was drawn
            from [-1, 1] in training), all its values for a categorical one.
        n_samples : int, default=1
            Draws of the noise and of the other codes.
        cluster : int, default=None
            Of this cluster only.

        Returns
        -------
        X : ndarray of shape (n_samples, n_values, n_features)
            ``X[i]`` shares noise and all other codes.
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=1)
        fixed = {} if cluster is None else {"cluster": cluster}
        drawn = self._set(self._draw(n_samples), fixed)
        values = self._sweep(code) if values is None else np.asarray(values).ravel()
        rows = [self._render(self._set(drawn, {code: value})) for value in values]
        return np.stack(rows, 1)

    def code_report(self, n_samples=1000):
        """Measure what each code does in generated rows.

        Parameters
        ----------
        n_samples : int, default=1000
            Draws of the noise and of the other codes that the measures average over.

        Returns
        -------
        report : DataFrame with a row for each code, or dict of arrays without pandas
            "code" and "kind" ("categorical" or "continuous");
            "change": root mean square change in the features, continuous codes between -1 and 1,
            categorical ones between different values, with all else fixed, as a share of that
            between two unrelated rows: 0 is a code without effect;
            "n_features": how many features share the change (exponential of the entropy of their
            shares of the squared change), and "where": the three with the largest share;
            "keeps_cluster": share of rows in which Q reads the same cluster when the code
            changes; "moves_others": the largest share of the variance of Q's reading of another
            continuous code that this code explains: 0 is independent;
            "read_back": share of the code that Q reads back, mutual information over entropy for
            a categorical code, squared correlation for a continuous one; and "information": the
            lower bound on the information between code and rows, in nats.
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=2)
        return report(self, n_samples)

    # ---- inside

    def _keep(self, run, X):
        super()._keep(run, X)
        latent = run.model.latent
        self._n_features_out = sum(latent.sizes) + latent.n_continuous
        others = [f"category{a}" for a in range(1, len(latent.sizes))]
        continuous = [f"continuous{j}" for j in range(latent.n_continuous)]
        self.code_names_ = ["cluster", *others, *continuous]
        self.weights_ = run.model.log_prior.exp().cpu().numpy()

    def _draw(self, n_samples):
        """Codes on the CPU; an int ``random_state`` draws the same ones on every call."""
        with seeded(draw_seed(random_stream(self.random_state))):
            return self.model_.latent.draw(n_samples, self.model_.log_prior.cpu())

    def _set(self, drawn, values):
        """Drawn codes with some of them set, by name."""
        categories, continuous = drawn.categories.clone(), drawn.continuous.clone()
        n_categories = categories.shape[1]
        for name, value in values.items():
            index, value = self._index(name), np.asarray(value)
            if value.shape not in ((), (len(categories),)):
                raise ValueError(
                    f"Code {name!r} must be a number or have shape ({len(categories)},), got "
                    f"shape {value.shape}."
                )
            if index >= n_categories:
                if not np.isfinite(value).all():
                    raise ValueError(f"Code {name!r} must be finite, got {value}.")
                continuous[:, index - n_categories] = torch.as_tensor(value, dtype=torch.float32)
                continue
            size = self.model_.latent.sizes[index]
            if not np.isin(value, np.arange(size)).all():
                raise ValueError(
                    f"Code {name!r} takes whole numbers from 0 to {size - 1}, got {value}."
                )
            categories[:, index] = torch.as_tensor(value.astype(np.int64))
        return Codes(drawn.noise, categories, continuous)

    def _index(self, name):
        if name not in self.code_names_:
            raise ValueError(f"No code {name!r}; there are {', '.join(self.code_names_)}.")
        return self.code_names_.index(name)

    def _sweep(self, name):
        """Values that a code goes through when none are given."""
        index, sizes = self._index(name), self.model_.latent.sizes
        return np.arange(sizes[index]) if index < len(sizes) else SWEEP

    def _render(self, codes):
        inputs = self.model_.latent.inputs(codes).numpy()
        return self._answers(self.model_, self.model_.render, inputs)
