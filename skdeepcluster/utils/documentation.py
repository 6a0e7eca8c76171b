"""Parameters and attributes that estimators share, and how class docstrings get them.

Texts are in groups, as below: "With x" is for the classes that have a parameter x. Those of
networks are in ``deep/parameters.py``. Defaults come from ``__init__``.

With random_state
-----------------
kinds : "auto", "numbers" or dict
    Kinds of columns. "auto": categories, texts and booleans by the types of a DataFrame, and
    by the values where features have units of their own. "numbers": all columns are numbers
    as they are. A dict says it by name or position, for columns that are not what they look
    like: "number"; "skewed", which becomes its logarithm; "ordinal", few values with an order,
    spread over the gaps between them; "date", in days; "binary" or "category"; "out", left
    out. Networks have the categorical likelihood for categories, and decode and
    generate tables like X.
contamination : float or "auto"
    Share of the samples to label as noise, in [0, 1): those with the highest
    ``outlier_scores_`` get the label -1. "auto": those with scores more than three
    interquartile ranges above the upper quartile, the outer fence of box plots.
random_state : int, RandomState instance or None
    Determines all random choices. An int gives the same result on every call.
preparation_ : Preparation
    How X becomes numbers.
n_features_in_ : int
    Number of features of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Feature names, if X has names that are all strings.
"""

import inspect
import re

#: Title of a group, and its texts.
GROUP = re.compile(r"^With (\w+)\n-+\n((?:.+\n)+)", re.M)
#: Names, type and text of an entry.
ENTRY = re.compile(r"^([\w, ]+) : .*(?:\n+    .*)+", re.M)
#: Both sections of a class docstring.
SECTIONS = re.compile(r"(?s)Parameters\n--.*\nAttributes\n--.*?(?=\n\n\S|\Z)")


def shared_docs(estimator, texts=""):
    """Complete the docstring of a class by shared texts, those given and those above.

    Parameters are in the order of ``__init__``. Attributes of the class come first.
    """
    doc = inspect.cleandoc(estimator.__doc__ or "")  # None in python -OO
    parameters = inspect.signature(estimator).parameters
    groups = GROUP.findall(f"{texts}\n{__doc__}")
    texts = [doc, *(text for name, text in groups if name in parameters)]

    found = {}
    for entry in ENTRY.finditer("\n".join(texts)):
        for name in entry[1].split(", "):
            found.setdefault(name, entry[0])

    lines = ["Parameters\n----------"]
    for name, parameter in parameters.items():
        default = repr(parameter.default).replace("'", '"')
        text = found.get(name, name)
        lines.append(text.replace("\n", f", default={default}\n", 1))
    lines.append("\nAttributes\n----------")
    lines += [text for name, text in found.items() if name.endswith("_")]

    sections = "\n".join(dict.fromkeys(lines))
    estimator.__doc__ = SECTIONS.sub(lambda _: sections, doc)
    return estimator
