"""Sphinx's settings for the API pages: `python -m sphinx -W .ci/docs build/docs` builds them."""

import skdeepcluster

project = "skdeepcluster"
author = copyright = "The skdeepcluster developers"
release = version = skdeepcluster.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
templates_path = ["templates"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Deep clustering as scikit-learn estimators",
    "page_width": "1200px",
    "sidebar_width": "260px",
}
html_copy_source = html_show_sourcelink = False
add_module_names = False
autodoc_typehints = "none"  # docstrings say the types
autosummary_generate = True
numpydoc_show_class_members = False
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"sklearn\..*")]  # scikit-learn's pages are elsewhere


def is_foreign(app, what, name, thing, skip, options):
    """Leave out methods that scikit-learn or torch document."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None) or ""
    return skip or not module.startswith("skdeepcluster")


def setup(app):
    """Connect the rule on members."""
    app.connect("autodoc-skip-member", is_foreign)
