"""HTML from values: what is escaped, and what is not."""

from html.parser import HTMLParser

from vlselect.answer.markup import Markup, element, joined, table

NASTY = "<script>alert('1')</script> & \"x\""


class Texts(HTMLParser):
    """Collects tags and texts as a browser sees them."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.text += data


def test_texts_and_attributes_are_escaped_once():
    page = Texts(element("p", NASTY, element("b", NASTY), title=NASTY))
    assert page.tags == ["p", "b"] and page.values == [NASTY]
    assert page.text == NASTY + NASTY


def test_lists_are_opened_and_none_is_left_out():
    assert joined(["a", None, ["b", [Markup("<i>c</i>")]]]) == "ab<i>c</i>"
    assert element("circle", cx=1, class_="x") == '<circle cx="1" class="x"/>'


def test_a_table_names_its_rows_and_columns():
    page = Texts(table(("what", "n"), [(NASTY, "2")], NASTY))
    assert page.tags.count("th") == 3 and page.tags.count("td") == 1
    assert page.values.count("col") == 2 and page.values.count("row") == 1
    assert "script" not in page.tags and page.text == f"{NASTY}whatn{NASTY}2"
