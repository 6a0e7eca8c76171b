"""Types of arrays, and the types of what scikit-learn leaves untyped."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

# ruff: noqa: F401 (other files import the names below)

#: Type of parameters that a fit may choose.
Auto: TypeAlias = Literal["auto"]
#: Type of the widths of hidden layers.
Widths: TypeAlias = Sequence[int] | Auto
#: Type of methods whose decorators keep it.
Method = TypeVar("Method", bound=Callable[..., Any])
#: Cluster labels (N,).
Labels: TypeAlias = npt.NDArray[np.int64]
#: Numbers in single and in double precision.
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
#: Real numbers in the precision of the data.
Reals: TypeAlias = npt.NDArray[np.floating[Any]]

if TYPE_CHECKING:

    def fit_context(
        *, prefer_skip_nested_validation: bool
    ) -> Callable[[Method], Method]: ...

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

    class ClusterMixin:
        labels_: Labels

        def fit_predict(self, X: Any, y: Any = None, **kwargs: Any) -> Labels: ...

else:
    from sklearn.base import ClusterMixin
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils.metaestimators import available_if
