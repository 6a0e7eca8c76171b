"""What ``n_clusters`` may be: a number, or "auto", bounds or numbers to choose from."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any, NamedTuple

from .checks import AUTO, COUNT

#: Constraint of ``n_clusters`` where it may be found.
N_CLUSTERS = [COUNT, AUTO, tuple]
#: Largest number of clusters that "auto" tries.
MAX_CLUSTERS = 60


class ClusterNumbers(NamedTuple):
    """Numbers of clusters to choose from, or the one that is given."""

    #: A range, any number of which may be chosen, or a list.
    numbers: Any
    is_given: bool = False

    @property
    def given(self) -> int:
        """The number that is given."""
        return self.numbers[0]

    @property
    def lowest(self) -> int:
        """The lowest number."""
        return min(self.numbers)

    @property
    def is_range(self) -> bool:
        """Whether any number between two may be chosen."""
        return isinstance(self.numbers, range)

    @property
    def tried(self) -> list[int]:
        """The numbers that are tried first: of a range up to 4, then in steps of half."""
        if not self.is_range:
            return list(self.numbers)
        lowest = self.numbers[0]
        highest = self.numbers[-1]
        steps = [1, 2, 3, 4]
        while steps[-1] < highest:
            steps.append(3 * steps[-1] // 2)
        between = {number for number in steps if lowest < number < highest}
        return sorted(between | {lowest, highest})


def read_n_clusters(n_clusters, max_clusters=MAX_CLUSTERS) -> ClusterNumbers:
    """Return the :class:`ClusterNumbers` of a parameter ``n_clusters``, checked."""
    if isinstance(n_clusters, Integral):
        return ClusterNumbers([int(n_clusters)], is_given=True)
    if isinstance(n_clusters, str) and n_clusters == "auto":
        return ClusterNumbers(range(1, max_clusters + 1))
    numbers = list(n_clusters) if isinstance(n_clusters, Iterable) else []
    is_sound = all(isinstance(k, Integral) and k >= 1 for k in numbers)
    if isinstance(n_clusters, tuple) and len(numbers) == 2 and is_sound:
        low, high = numbers
        if low <= high:
            return ClusterNumbers(range(low, high + 1))
    elif numbers and is_sound and not isinstance(n_clusters, tuple):
        return ClusterNumbers(list(dict.fromkeys(map(int, numbers))))
    raise ValueError(
        "n_clusters must be a number, 'auto', or the lowest and the highest number, such as "
        f"(5, 20), got {n_clusters!r}."
    )
