"""Chat templates that write today's date write the config's."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from model_families import TEXTS, save_family
from published_models import FOLDER
from transformers.utils.chat_template_utils import render_jinja_template
from usual_models import load_vlm

from vlselect.models.template_date import dated, fix_date
from vlselect.pool.records import Record, Turn

PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
TODAY = "{{ strftime_now('%Y-%m-%d') }}|" + PLAIN
ASKED = (
    "{%- if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ day }}: " + PLAIN
)
LINES = "  {% if true %}\n\n  a\n{% endif %}\n{{ strftime_now('%A, %B %-d, %H:%M') }}\n"


def render(template):
    (text,), _ = render_jinja_template(
        [[{"role": "user", "content": "what?"}]], chat_template=template
    )
    return text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (TODAY, "2031-05-04|what?"),
        (ASKED, "04 May 2031: what?"),
        (LINES, "\n  a\nSunday, May 4, 00:00\n"),
    ],
)
def test_a_template_that_asks_for_the_date_gets_the_configs(template, expected):
    assert render(dated(template, "2031-05-04")).rstrip("\n") == expected.rstrip("\n")
    assert render(template) != render(dated(template, "2031-05-04"))


@pytest.mark.parametrize("template", [TODAY, ASKED, LINES])
def test_nothing_but_the_date_changes(template):
    """Blanks and line breaks at the template's beginning too."""
    known = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    known.globals["strftime_now"] = date(2031, 5, 4).strftime
    messages = [{"role": "user", "content": "what?"}]
    assert render(dated(template, "2031-05-04")) == known.from_string(template).render(
        messages=messages
    )


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no files of published checkpoints")
def test_mistral_small_writes_the_configs_date():
    template = json.loads((FOLDER / "templates/mistral-small-3.1.json").read_text("utf-8"))
    template = template["chat_template"].replace("bos_token", "''")
    assert "The current date is 2031-05-04." in render(dated(template, "2031-05-04"))
    assert "2031-05-04" not in render(template)


def test_other_templates_stay_and_a_second_date_changes_nothing():
    assert dated(PLAIN, "2031-05-04") == PLAIN
    once = dated(TODAY, "2031-05-04")
    assert dated(once, "2032-01-01") == once


def test_every_template_of_a_processor_is_dated():
    tokenizer = SimpleNamespace(chat_template=TODAY)
    processor = SimpleNamespace(
        chat_template={"default": TODAY, "tools": PLAIN}, tokenizer=tokenizer
    )
    fix_date(processor, "2031-05-04")
    assert tokenizer.chat_template == processor.chat_template["default"] != TODAY
    assert processor.chat_template["tools"] == PLAIN


def test_a_loaded_model_encodes_the_configs_date(tmp_path):
    folder = save_family("llava", tmp_path / "model", TEXTS, layers=2)
    path = folder / "chat_template.jinja"
    path.write_text("{{ strftime_now('%Y') }} " + path.read_text())
    record = Record("a", "x", (), (Turn("user", "what?"), Turn("assistant", "yes")))
    texts = []
    for day in ("2019-05-04", "2019-08-01", "2031-05-04"):
        vlm = load_vlm(str(folder), device="cpu", template_date=day)
        texts.append(vlm.tokenizer.decode(vlm.encode(record, []).inputs["input_ids"]))
    assert "2019" in texts[0] and "2031" in texts[2] and texts[0] == texts[1] != texts[2]
