"""One HTML page from columns of data: everything in it, nothing fetched from anywhere.

What comes from users is data in a JSON block, which no HTML parser looks into, and the page's
script puts it in by ``textContent`` only. A content security policy in the page forbids the rest.
"""

import json
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[3] / "report/explorer"


def fill_page(data: dict) -> str:
    """Put data, style and script into the template.

    Parameters
    ----------
    data : dict
        What JSON can say; see `columns.collect`.

    Returns
    -------
    str
        The page.
    """
    text = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    parts = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in TEMPLATE_PARTS}
    for name, part in {**parts, "data.json": encode(data)}.items():
        before, after = text.split(f"{{{{{name}}}}}")
        text = before + part + after
    return text


TEMPLATE_PARTS = ("page.css", "page.js")


def encode(data: dict) -> str:
    """Write JSON that may stand inside ``<script>``: no "<", and no line ends that are not JSON's.

    Raises
    ------
    ValueError
        If a number is not finite, which JSON cannot say.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
