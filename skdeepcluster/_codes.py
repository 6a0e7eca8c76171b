"""Codes."""
from ._mixins import EmbedMixin
import numpy as np, torch
from .functional.information import mutual_information, marginal

class CodesMixin(EmbedMixin):
    def _keep(self, run, X):
        super()._keep(run, X)
        latent = run.model.latent
        self._n_features_out = sum(latent.sizes) + latent.n_continuous

    def _finish(self, model, X, random_state):
        log_p = torch.as_tensor(self._answers(model, model.log_resp, X)).double()
        model.log_marginal.copy_(marginal(log_p))

    def _criterion(self, model, X):
        return self._answers(model, model.information, X)

    def score_samples(self, X):
        return self._criterion(self.model_, self._check_rows(X))
