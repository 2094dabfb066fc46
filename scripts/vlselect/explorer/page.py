"""One HTML page from columns of data; everything is in it, and nothing is loaded from elsewhere.

Users' texts stay in a JSON block that no HTML parser reads, and the page's script inserts them with
``textContent`` only. A content security policy in the page forbids anything else.
"""

import json
from pathlib import Path

REPORT = Path(__file__).resolve().parents[3] / "report"
TEMPLATE = REPORT / "explorer/page.html"
PARTS = [
    REPORT / "theme.css",
    *(REPORT / "explorer" / p for p in ("page.css", "page.js", "views.js")),
]


def fill_page(data: dict) -> str:
    """Fill data (see `columns.collect`), style and script into the template."""
    text = TEMPLATE.read_text(encoding="utf-8")
    parts = {path.name: path.read_text(encoding="utf-8") for path in PARTS}
    for name, part in {**parts, "data.json": encode(data)}.items():
        before, after = text.split(f"{{{{{name}}}}}")
        text = before + part + after
    return text


def encode(data: dict) -> str:
    """Encode JSON for inside ``<script>``, with "<" and line ends that are not JSON's escaped.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
