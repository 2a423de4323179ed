# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes a site of the Markdown here, and of what modules, filters and roles say of themselves."""

from __future__ import annotations

project = "kvm.hostnet"
author = "The kvm.hostnet authors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 3  # so that README's links to its own sections lead there
html_theme = "sphinx_ansible_theme"
html_title = "kvm.hostnet"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
# the documents say highlight languages by themselves; an indented block is what somebody types
highlight_language = "none"
# labels of Ansible's own documentation, which is elsewhere; those of ours are held by antsibull-docs in `make lint`
suppress_warnings = ["ref.ref"]
