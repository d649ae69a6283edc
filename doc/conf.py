"""Configuration of Sphinx for doc/*.md and the release notes."""

project = 'glancelite'
author = 'the glancelite authors'
extensions = ['myst_parser', 'reno.sphinxext']
myst_heading_anchors = 4
html_theme = 'alabaster'
html_theme_options = {
    'description': 'The OpenStack Image service as a framework of swappable plugins'
}
