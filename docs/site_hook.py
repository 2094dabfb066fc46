"""Hands generated pages to mkdocs, which calls these functions when it builds the site."""

import re

from generate_reference import pages
from mkdocs.structure.files import File

LEAVES_DOCS = re.compile(r"\[([^]]+)\]\(\.\./[^)]*\)")  # in a page that stands in docs/ itself


def on_files(files, config):
    """Add the generated pages to those that docs/ holds."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Keep the words of links to files of the repository, which are not on the site."""
    return markdown if "/" in page.file.src_uri else LEAVES_DOCS.sub(r"\1", markdown)
