"""The table of what networks add to their starts."""

from lib import earnings


def test_gains_are_means_over_sets_of_means_over_seeds():
    base = {"row": "A", "control_acc": 0.5, "start_ari": 0.0, "ari": 0.0, "control_ari": 0.0}
    base |= {"moved": 0.25, "ece": 0.1, "seconds": 2.0, "cpu_seconds": 1.5, "threads": 1}
    found = [
        base | {"data": "x", "start_acc": 0.5, "acc": 0.7},
        base | {"data": "x", "start_acc": 0.5, "acc": 0.5},
        base | {"data": "y", "start_acc": 0.75, "acc": 0.5},
    ]
    (line,) = earnings.lines(found)
    assert line[2] == "0.625, 0.550, 0.500"
    assert line[4:8] == ["-0.250", "y", "+0.100", "x"]
    assert line[-1] == "1.5"
    assert len(line) == len(earnings.COLUMNS)
    for record in found:
        del record["control_acc"]
    (line,) = earnings.lines(found)
    assert line[2] == "0.625, 0.550, -"


def test_methods_that_train_no_network_have_no_line():
    assert not list(earnings.lines([{"row": "KMeans", "data": "x", "acc": 0.5}]))
