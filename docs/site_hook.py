"""Hands generated pages to mkdocs, which calls these functions when it builds the site."""

import re

from generate_reference import pages
from mkdocs.structure.files import File

PICTURE = re.compile(r"!\[[^]]*\]\(([^)\s]+\.png)\)")
LEAVES_DOCS = re.compile(r"\[([^]]+)\]\(\.\./[^)]*\)")  # in a page that stands in docs/ itself


def on_files(files, config):
    """Add the generated pages to those that docs/ holds."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Link each picture to itself, to be seen in full size, also on a phone.

    Of links to files of the repository, which are not on the site, only the words are kept.
    """
    markdown = PICTURE.sub(r"[\g<0>](\1)", markdown)
    return markdown if "/" in page.file.src_uri else LEAVES_DOCS.sub(r"\1", markdown)
