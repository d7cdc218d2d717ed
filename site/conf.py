"""Sphinx settings. The pages are written to build/site_source by tools/build_site.py, which also runs Sphinx."""

import re
import sys
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

from docutils.nodes import SkipNode, image
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", NAMESPACE)
logger = logging.getLogger(__name__)
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import readme  # noqa: E402

project = "Small data, honest models"
release = readme.version()

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"  # the notebooks' stored outputs are what a reader sees
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
default_role = "py:obj"  # `name` in a docstring leads to its entry, when there is one
autodoc_typehints = "none"  # the NumPy docstrings give the types
autodoc_preserve_defaults = True  # else a function as default is shown as <function ...>
add_module_names = False
napoleon_use_ivar = True
strip_signature_backslash = True  # else napoleon drops the last character of `noise_`
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["course.css"]
html_math_renderer = "mathml"  # browsers draw MathML themselves: no script from elsewhere, so it works offline
html_theme_options = {
    "repository_url": f"https://github.com/{readme.slug()}",
    "repository_branch": f"v{release}",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "show_toc_level": 2,
    "navbar_persistent": [],  # one search field is enough
    "footer_content_items": ["extra-footer.html"],
    "extra_footer": "Code: BSD-3-Clause. Text, figures and exercises: CC BY 4.0. Data: see each set's card.",
}


def mathml(writer, node, as_block):
    """Write a formula as MathML, what belongs to a brace below it and a bar as wide as its letters."""
    try:
        markup = tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        raise SkipNode from None
    markup = re.sub(r"&(?!lt;|gt;|amp;)\w+;", lambda entity: unescape(entity[0]), markup)  # XML knows few names
    formula = ElementTree.fromstring(markup)
    for element in formula.iter(f"{{{NAMESPACE}}}msub"):
        if element[0].tag.endswith("munder"):
            element.tag = element[0].tag
    for element in formula.iter(f"{{{NAMESPACE}}}mover"):
        if element[1].text == "_":  # an underscore does not grow to the width of what it stands above
            element[1].text = "\N{OVERLINE}"
            element[1].set("stretchy", "true")
    writer.body.append(ElementTree.tostring(formula, encoding="unicode"))
    raise SkipNode


def inline(writer, node):
    """Write a formula in a line of text."""
    mathml(writer, node, as_block=False)


def block(writer, node):
    """Write a formula that stands alone."""
    writer.body.append('<div class="math">')
    try:
        mathml(writer, node, as_block=True)
    finally:
        writer.body.append("</div>")


def leave_out(app, what, name, obj, skip, options):
    """Leave out what scikit-learn adds to every estimator, and the fields of named tuples: "Attributes" tells them."""
    return True if re.fullmatch(r"set_\w+_request", name) or type(obj).__name__ == "_tuplegetter" else None


def made_anew(app, what, name, obj, options, signature, returns):
    """Show the default of a field of a dataclass that each object gets anew as ... and not as <factory>."""
    return (signature.replace("<factory>", "..."), returns) if signature else None


def open_alone(app, doctree, docname):
    """Let every picture open alone when it is clicked: on a phone it can then be enlarged.

    Sphinx links what has a scale to the file itself.
    """
    for picture in doctree.findall(image):
        picture["scale"] = 100


def setup(app):
    """Register the functions above."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("autodoc-skip-member", leave_out)
    app.connect("doctree-resolved", open_alone)
    app.connect("autodoc-process-signature", made_anew)
