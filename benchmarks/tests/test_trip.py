"""The trip of a fit, counted on a small package of its own."""

import sys

from lib.trip import Trip, own_classes

from skdeepcluster import GaussianMixtureEM

#: Three files of a package, and one outside of it through which a call comes back.
FILES = {
    "package/trip_first.py": "import trip_second\ndef run():\n    return trip_second.run()\n",
    "package/trip_second.py": (
        "import trip_outside, trip_third\n"
        "class A:\n    pass\n"
        "def run():\n    return trip_third.one(0), trip_outside.call(trip_third.one)\n"
    ),
    "package/trip_third.py": "def one(x):\n    return x\n",
    "trip_outside.py": "def call(function):\n    return function(0)\n",
}


def test_pairs_by_the_direct_and_by_the_nearest_caller(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [str(package), str(tmp_path), *sys.path])
    with Trip(package) as trip:
        import trip_first

        trip_first.run()
    first, second, third = "trip_first.py", "trip_second.py", "trip_third.py"
    assert trip.entered == {first: 1, second: 1, third: 2}
    assert trip.direct == {(first, second): 1, (second, third): 1}
    assert trip.nearest == {(first, second): 1, (second, third): 2}


def test_own_classes_stand_in_the_order_of_the_mro():
    assert own_classes(GaussianMixtureEM())[0].startswith("GaussianMixtureEM (")
