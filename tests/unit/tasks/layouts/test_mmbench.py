import base64
import csv

from vlselect.tasks.layouts import mmbench


def test_a_long_image_cell_is_read_and_the_limit_of_the_process_is_as_before(tmp_path):
    image = base64.b64encode(bytes(200_000)).decode()
    cells = ["0", "Which?", "A", image, "left", "right"]
    table = "\n".join("\t".join(row) for row in (mmbench.COLUMNS, cells)) + "\n"
    (tmp_path / "questions.tsv").write_text(table)
    limit = csv.field_size_limit()
    names = [name for name, _ in mmbench.entries(str(tmp_path / "questions.tsv"))]
    assert names == ["0", "1000000"]
    next(mmbench.entries(str(tmp_path / "questions.tsv")))  # left before its end
    assert csv.field_size_limit() == limit
