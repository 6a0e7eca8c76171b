"""What a fitted estimator holds: kept when a fit fails, taken up by the next, plain in files."""

import copy
from contextlib import contextmanager

import numpy as np
import torch

from .engine.randomness import seeded
from .modules.likelihood import Bernoulli, Gaussian

#: Parameters that say what networks there are; training cannot go on with others.
ARCHITECTURE = (
    *("n_clusters", "n_components", "n_noise", "n_continuous", "other_categories"),
    *("hidden_layer_sizes", "activation", "covariance_type"),
    *("encoder", "decoder", "generator", "discriminator"),
)


@contextmanager
def unchanged_if_it_fails(estimator):
    """Put the attributes back as they were when the block raises."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class ModelStateMixin:
    """The model of an estimator, built again with weights that were learnt before.

    Needs ``_build`` and ``_fit_params``, the parameters of the last fit.
    """

    def __getstate__(self):
        """State as arrays and plain objects, so that a fit on a GPU opens anywhere."""
        state = {name: v for name, v in super().__getstate__().items() if name != "_tasks"}
        if "model_" in state:
            tensors = state["model_"].state_dict()
            arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
            state = {**state, "model_": arrays}
        return state

    def __setstate__(self, state):
        """Take the state back, with a model built as it was in fit."""
        arrays = state.get("model_")
        super().__setstate__({name: value for name, value in state.items() if name != "model_"})
        if arrays is not None:
            self.model_ = self._rebuilt({name: torch.tensor(a) for name, a in arrays.items()})

    def _rebuilt(self, tensors):
        """Build a model by the parameters of the last fit, with these weights."""
        fitted = copy.copy(self)
        fitted.set_params(**self._fit_params)
        likelihood = Bernoulli()
        if "likelihood.shift" in tensors:
            likelihood = Gaussian(tensors["likelihood.shift"], tensors["likelihood.scale"])
        with seeded(0):
            model = fitted._build(self.n_features_in_, likelihood)
        fitted._complete(model, tensors)
        model.load_state_dict(tensors)
        return model.eval()

    def _complete(self, model, tensors):
        """Give a new model the parts that only a trained one has; none by default."""

    def _taken_up(self, n_features, likelihood):
        """Build the model with the weights learnt so far, all else as the parameters say now."""
        self._check_same_networks(likelihood)
        tensors = {name: tensor.cpu() for name, tensor in self.model_.state_dict().items()}
        model = self._build(n_features, copy.deepcopy(self.model_.likelihood).cpu())
        self._complete(model, tensors)
        model.load_state_dict(tensors)
        return model

    def _check_same_networks(self, likelihood):
        """Refuse to go on with a model that is not the one the parameters and rows ask for."""
        asked = self.get_params(deep=False)
        for name in ARCHITECTURE:
            before, now = self._fit_params.get(name), asked.get(name)
            if before is not now and not np.array_equal(before, now):
                raise ValueError(
                    f"warm_start=True goes on with the fitted model, made with {name}={before}, "
                    f"but now {name}={now}. Keep it, or set warm_start=False."
                )
        before, now = (
            type(kind).__name__.lower() for kind in (self.model_.likelihood, likelihood)
        )
        if before != now:
            raise ValueError(
                f"warm_start=True goes on with a model whose likelihood is {before}, but these "
                f"rows and the parameters ask for {now}. Scale X as it was, or set "
                "warm_start=False."
            )
