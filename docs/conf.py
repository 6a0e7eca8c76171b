"""Sphinx settings: ``python -m sphinx -W docs build/docs`` builds the site."""

import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import skdeepcluster

#: The project's folder.
ROOT = Path(__file__).resolve().parents[1]

project = "skdeepcluster"
author = copyright = "The skdeepcluster developers"
release = version = skdeepcluster.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "myst_parser",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
templates_path = ["templates"]
exclude_patterns = ["templates", "examples"]
html_math_renderer = "mathml"
html_title = project
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "secondary_sidebar_items": {"**": ["page-toc"], "gallery/index": []},
    "show_prev_next": False,
}
WITHOUT_SIDEBAR = [
    "start",
    "how_it_works",
    "how_a_fit_works",
    "results",
    "benchmarks",
    "glossary",
    "changes",
    "contributing",
]
html_context = {"default_mode": "auto"}
html_sidebars = {page: [] for page in WITHOUT_SIDEBAR}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_search_scorer = str(ROOT / "docs" / "templates" / "search_scorer.js")
html_copy_source = html_show_sourcelink = False
add_module_names = False
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # docstrings have the types
autosummary_generate = True
numpydoc_show_class_members = False
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"sklearn\..*")]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skdeepcluster",),
    "filename_pattern": r"\.py$",
    "subsection_order": [
        f"examples/{part}" for part in ("clusters", "trust", "tables", "networks", "use")
    ],
    "within_subsection_order": "FileNameSortKey",
    "image_srcset": ["2x"],
    "thumbnail_size": (640, 400),
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
}


def is_foreign(app, what, name, thing, skip, options):
    """Leave out methods that scikit-learn or torch document."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None) or ""
    return skip or not module.startswith("skdeepcluster")


def read_source(app, docname, source):
    """Show benchmarks/RESULTS.md as a page, and lead links of files to pages."""
    if docname == "results":
        source[0] = (ROOT / "benchmarks" / "RESULTS.md").read_text()
        source[0] = (
            source[0].replace("](../docs/", "](").replace("](results/", "](../benchmarks/results/")
        )
    text = re.sub(r"\]\((?:\.\./)*benchmarks/RESULTS\.md", "](/results.md", source[0])
    # Files that are not on the site are named without a link.
    source[0] = re.sub(r"\[([^\]]*)\]\((?:\.\./)*(?:benchmarks/)?README\.md[^)]*\)", r"\1", text)


def link_names(app, doctree, docname):
    """Lead names of public classes and functions in the text to their pages."""
    places = {
        shown.rpartition(".")[-1]: (page, anchor)
        for _, shown, kind, page, anchor, _ in app.env.get_domain("py").get_objects()
        if kind in ("class", "function")
    }
    for literal in list(doctree.findall(nodes.literal)):
        page, anchor = places.get(literal.astext(), (docname, ""))
        if page != docname and not isinstance(literal.parent, nodes.reference):
            uri = f"{app.builder.get_relative_uri(docname, page)}#{anchor}"
            link = nodes.reference("", "", literal.deepcopy(), refuri=uri, internal=True)
            literal.replace_self(link)


def write_formula(translator, node):
    """Write a formula as MathML, which browsers show without scripts and offline."""
    formula = tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block))
    # As in TeX, there is a space between the name of a function and a symbol.
    formula = re.sub(r"<mo>(?=&ApplyFunction;</mo>\s*<m(?!o))", '<mo rspace="0.17em">', formula)
    tag = "div" if isinstance(node, nodes.math_block) else "span"
    translator.body.append(f'<{tag} class="math">{formula}</{tag}>')
    raise nodes.SkipNode


def setup(app):
    """Connect the rules on members, links and formulas."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("autodoc-skip-member", is_foreign)
    app.connect("source-read", read_source)
    app.connect("doctree-resolved", link_names)
