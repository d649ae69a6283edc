"""How Sphinx makes pages of doc/*.md and of the release notes."""

project = 'glancelite'
author = 'the glancelite authors'
extensions = ['myst_parser', 'reno.sphinxext']
myst_heading_anchors = 4
html_theme = 'alabaster'
html_theme_options = {'description': 'The OpenStack Image service, in swappable plugins'}
