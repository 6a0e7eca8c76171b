"""Figures in sentences are those of the result files."""

import re

import pytest
from lib import tables
from lib.figures import FIELD, filled

RECORDS = {
    "A B": [
        {"data": "x", "acc": 0.5, "start_acc": 0.25, "seconds": 10.0},
        {"data": "x", "acc": 0.7, "start_acc": 0.25, "seconds": 12.0},
        {"data": "y", "acc": 0.9, "start_acc": 1.0, "seconds": 200.0},
    ],
}
GROWN = {"A B": [{"n_samples": n, "seconds": s} for n, s in ((100, 8), (1, 1), (10, 2))]}
FILES = {"f.jsonl": RECORDS, "grown.jsonl": GROWN}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("{mean f.jsonl A_B acc}", ".750"),
        ("{mean f.jsonl A_B acc 2}", ".75"),
        ("{mean f.jsonl A_B@x acc}", ".600"),
        ("{median f.jsonl A_B acc}", ".700"),
        ("{last f.jsonl A_B acc}", ".900"),
        ("{highest f.jsonl * acc}", ".900"),
        ("{lowest f.jsonl * acc-start_acc 1}", "-.1"),
        ("{least f.jsonl A_B acc-start_acc}", "-.100"),
        ("{on_least f.jsonl A_B acc-start_acc}", "y"),
        ("{most f.jsonl A_B acc-start_acc}", "+.350"),
        ("{on_most f.jsonl A_B acc}", "y"),
        ("{mean f.jsonl A_B@y seconds 1}", "200.0"),
        ("{mean f.jsonl A_B@[xy] acc}", ".750"),
        ("{power grown.jsonl A_B seconds 2}", ".60"),
        ("{mean f.jsonl A_B@y seconds 0}", "200"),
        ("a {set} in braces", "a {set} in braces"),
    ],
)
def test_fields_are_filled(field, text):
    assert filled(f"<{field}>", FILES.get) == f"<{text}>"


def test_a_field_without_records_is_an_error():
    with pytest.raises(ValueError, match=r"A@z.*f.jsonl has no such row"):
        filled("{mean f.jsonl A@z acc}", FILES.get)


def test_no_figure_of_a_text_is_written_by_hand():
    texts = [entry["text"] for entry in tables.listed()["table"]]
    texts += tables.listed()["texts"].values()
    for text in texts:
        by_hand = re.findall(r"(?<!\d)\.\d{3}", FIELD.sub("", text))
        assert not by_hand, f"{by_hand} in: {text}"
