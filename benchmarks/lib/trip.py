"""The trip of a fit: which files of the package it enters, and which of them call each other.

``python benchmarks/lib/trip.py`` fits VaDEClustering and GaussianMixtureEM to iris under
``sys.setprofile`` and prints, for each of the two fits,

- the files of the package in which a function was entered;
- "direct" pairs: ordered pairs (caller's file, callee's file) of different files of the package
  where the entered frame's own caller, ``frame.f_back``, lies in the package;
- "nearest" pairs: the same with the nearest caller that lies in the package, so that a call which
  passes through torch, skorch or scikit-learn counts as well;

each pair with its number of calls, and the classes of the package in the estimator's MRO. Frames
of modules and class bodies (import) and of generated code (``<string>``) do not count.
``--brief`` prints the numbers alone.
"""

import argparse
import inspect
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path

from sklearn.datasets import load_iris

import skdeepcluster
from skdeepcluster import GaussianMixtureEM, VaDEClustering

PACKAGE = Path(skdeepcluster.__file__).resolve().parent


class Trip:
    """Files entered and pairs of files with a call, of everything within ``with trip:``."""

    def __init__(self, package=PACKAGE):
        self.package = f"{package}/"
        self.entered, self.direct, self.nearest = Counter(), Counter(), Counter()

    def __enter__(self):
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)
        threading.setprofile(None)

    def _profile(self, frame, event, arg):
        if event != "call" or not (callee := self._file(frame)):
            return
        self.entered[callee] += 1
        caller = frame.f_back
        if caller and (file := self._file(caller)) and file != callee:
            self.direct[file, callee] += 1
        while caller and not self._file(caller):
            caller = caller.f_back
        if caller and (file := self._file(caller)) != callee:
            self.nearest[file, callee] += 1

    def _file(self, frame):
        """File of a function's frame, relative to the package; "" for any other frame."""
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED  # not set in modules and class bodies
        if not (is_function and code.co_filename.startswith(self.package)):
            return ""
        return code.co_filename.removeprefix(self.package)


def trip_of(estimator, X):
    """Fit an estimator; return its trip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Trip() as trip:
            estimator.fit(X)
    return trip


def own_classes(estimator):
    """Classes of the package in the estimator's MRO, with their files."""
    found = []
    for kind in type(estimator).__mro__:
        if kind.__module__.split(".")[0] == PACKAGE.name:
            file = Path(sys.modules[kind.__module__].__file__).resolve().relative_to(PACKAGE)
            found.append(f"{kind.__name__} ({file})")
    return found


def show(estimator, trip, brief=False):
    """Print a trip: the numbers, the files, the pairs with their calls, and the classes."""
    classes = own_classes(estimator)
    print(
        f"{type(estimator).__name__}.fit: {len(trip.entered)} files, {len(trip.direct)} direct "
        f"pairs, {len(trip.nearest)} nearest pairs, {len(classes)} own classes in the MRO"
    )
    if brief:
        return
    print("  files, with the number of entries:")
    for file, entries in sorted(trip.entered.items()):
        print(f"    {file}  {entries}")
    for name in ("direct", "nearest"):
        print(f"  {name} pairs, with the number of calls:")
        for (caller, callee), calls in sorted(getattr(trip, name).items()):
            print(f"    {caller} -> {callee}  {calls}")
    print("  own classes: " + ", ".join(classes))


def main():
    """Fit and show both estimators."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brief", action="store_true", help="the numbers alone")
    options = parser.parse_args()
    X = load_iris().data
    vade = VaDEClustering(3, max_epochs=1, pretraining_epochs=1, random_state=0)
    mixture = GaussianMixtureEM(3, random_state=0)
    for estimator in (vade, mixture):
        show(estimator, trip_of(estimator, X), options.brief)


if __name__ == "__main__":
    main()
