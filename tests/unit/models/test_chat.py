"""Where the texts of a conversation stand in a template's output; which templates are refused."""

import numpy as np
import pytest
from jinja2 import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from templates import CHATML, GEMMA, INTERNVL, QWEN, SMOLVLM, VICUNA

from vlselect.models.chat import (
    MaskError,
    chat_messages,
    expand,
    locate_texts,
    shift,
    string_roles,
    turn_closings,
    with_strings,
)
from vlselect.pool.records import Record, Turn

SPECIAL = [
    *(
        "<s>",
        "</s>",
        "<image>",
        "<|im_start|>",
        "<|im_end|>",
        "<|image_pad|>",
        "<end_of_utterance>",
    ),
    *("<start_of_turn>", "<end_of_turn>", "<start_of_image>"),
]


ROLES = {"system", "user", "assistant"}


def renderer(template):
    def fail(message):
        raise ValueError(message)

    compiled = ImmutableSandboxedEnvironment().from_string(template)
    return lambda chat: compiled.render(
        messages=chat, bos_token="<s>", eos_token="</s>", raise_exception=fail
    )


def talk(*texts, system=None):
    roles = ("user", "assistant") * len(texts)
    turns = tuple(Turn(role, text) for role, text in zip(roles, texts, strict=False))
    return Record("r", "x", (), (Turn("system", system), *turns) if system else turns)


def located(template, record, role):
    closings = turn_closings(renderer(template), SPECIAL)
    text, spans = locate_texts(record, renderer(template), closings)
    return [text[start:stop] for start, stop in spans[role]]


@pytest.mark.parametrize(
    ("template", "closings"),
    [
        (VICUNA, []),
        (CHATML, ["<|im_end|>"]),
        (QWEN, ["<|im_end|>"]),
        (SMOLVLM, ["<end_of_utterance>"]),
        (GEMMA, ["<end_of_turn>"]),
        ("{% for m in messages %}{{ m.content[0].text }} </s><s>{% endfor %}", ["</s>"]),
        # No end of turn: the start of the next turn is not one
        ("{% for m in messages %}<|im_start|>{{ m.content[0].text }}{% endfor %}", []),
        # The conversation ends with another token than a turn
        (
            "{% for m in messages %}{{ m.role }}: {{ m.content[0].text }}"
            "{{ '</s>' if loop.last else '<|im_end|>' }}{% endfor %}",
            ["</s>", "<|im_end|>"],
        ),
        # The same token starts and ends the conversation
        ("</s>{% for m in messages %}{{ m.content[0].text }}\n{% endfor %}</s>", ["</s>"]),
        # The conversation starts with the end-of-turn token, and the last turn has none
        (
            "</s>{% for m in messages %}{{ m.content[0].text }}"
            "{{ '</s>' if m.role == 'assistant' and not loop.last }}{% endfor %}",
            ["</s>"],
        ),
    ],
)
def test_tokens_that_close_a_turn(template, closings):
    assert turn_closings(renderer(template), SPECIAL, "</s>") == closings


EACH = "{% for m in messages %}{{ m.role }}: {{ m.content[0].text }}"
OPEN = {
    "blank": (EACH + " {% endfor %}", "</s>"),
    "literal": (EACH + "<\\s> {% endfor %}", "</s>"),
    "text": (EACH + "\n### {% endfor %}", "</s>"),
    "but the last": (EACH + "{{ '</s>' if loop.last else ' ' }}{% endfor %}", "</s>"),
    "the last": (EACH + "{{ ' ' if loop.last else '<|im_end|>\n' }}{% endfor %}", "<|im_end|>"),
    "none": (EACH + "<|im_end|>\n{% endfor %}", "<|im_end|>"),
    "begins with it": (
        "</s>" + EACH + "{{ '</s>' if m.role == 'assistant' and not loop.last }}{% endfor %}",
        "</s>",
    ),
}


@pytest.mark.parametrize("kind", OPEN)
def test_turns_that_a_template_leaves_open_are_closed_once(kind):
    template, end = OPEN[kind]
    render = renderer(template)
    closings = turn_closings(render, SPECIAL, "</s>")
    record = talk("a", "b", "c", "d", "e", "f")
    text, spans = locate_texts(record, render, closings, closings[0] if closings else "</s>")
    said = [text[start:stop] for start, stop in spans["assistant"]]
    assert said == [answer + end for answer in "bdf"]
    assert [text[start:stop] for start, stop in spans["user"]] == ["a", "c", "e"]
    for (_, stop), answer in zip(spans["assistant"], "bdf", strict=True):
        assert not text[stop:].lstrip().startswith((end, "</s>")), (answer, text)
    bare = render(chat_messages(record))
    assert (
        (text == bare)
        if kind == "none"
        else text.replace(end, "").startswith(bare.replace(end, "").rstrip())
    )


def test_only_the_last_text_of_a_turn_ends_it():
    """The template puts images first, and a space after each text."""
    record = talk("draw", "see <image> or", "<image>?", "this <image>")
    text, spans = locate_texts(record, renderer(VICUNA), [], "</s>")
    said = [text[start:stop] for start, stop in spans["assistant"]]
    assert said == ["see ", " or</s>", "this</s>"] and text.endswith("this</s>")


@pytest.mark.parametrize("template", [VICUNA, CHATML, INTERNVL, QWEN, SMOLVLM, GEMMA])
def test_texts_are_found_whatever_they_are(template):
    record = talk(
        *(
            "<image>\n user: a 'quoted'\n {{ x }} <b> ",
            "\n model\nyes {% if %}\n",
            "model",
            "model",
        ),
        system=" be brief \n",
    )
    answers = [answer.partition("<")[0] for answer in located(template, record, "assistant")]
    assert answers == ["model\nyes {% if %}", "model"]
    assert located(template, record, "user") == ["user: a 'quoted'\n {{ x }} <b>", "model"]
    assert located(template, record, "system") == ["be brief"]


def test_the_closing_token_belongs_to_the_response_with_blanks_before_it():
    template = "{% for m in messages %}[{{ m.content[0].text }} \n</s>]{% endfor %}"
    assert located(template, talk("a", "b", "c", "d"), "assistant") == ["b \n</s>", "d \n</s>"]
    assert located(template, talk("a", "b", "c", "d"), "user") == ["a", "c"]


def test_an_image_at_the_end_of_an_answer_does_not_close_it():
    assert located(CHATML, talk("draw", "see <image> or\n<image>", "?", "!"), "assistant") == [
        *("see ", " or", "!<|im_end|>")
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<image>\nQuestion", [None, "Question"]),
        ("Question\n<image>", ["Question", None]),
        ("<image> Question ", [None, "Question"]),
        (" Question <image>", ["Question", None]),
        ("<image><image>\n\n Question\n", [None, None, "Question"]),
        ("<image>\n<image>", [None, None]),
        ("see <image> and <image>.", ["see ", None, " and ", None, "."]),
        ("see \n<image>\nand\n <image>\n.", ["see", None, "and", None, "."]),
        ("first\n\nsecond", ["first\n\nsecond"]),
    ],
)
def test_what_stands_between_text_and_images(text, parts):
    (message,) = chat_messages(talk(text))
    assert [part.get("text") for part in message["content"]] == parts
    assert [part["type"] for part in message["content"]] == [
        "image" if part is None else "text" for part in parts
    ]


@pytest.mark.parametrize(
    ("trimmed", "expected"),
    [("part.text | trim", ["see", "and"]), ("part.text", ["see ", " and"])],
)
def test_a_template_may_trim_texts(trimmed, expected):
    template = CHATML.replace("part.text", trimmed)
    assert located(template, talk("see <image> and", "yes"), "user") == expected


BREAK = {
    "lower-cases": ("{{ part.text }}", "{{ part.text | lower }}"),
    "cuts": ("{{ part.text }}", "{{ part.text[:3] }}"),
    "joins blanks": ("{{ part.text }}", "{{ part.text.split() | join(' ') }}"),
    "escapes": ("{{ part.text }}", "{{ part.text | e }}"),
    "repeats": ("{{ part.text }}", "{{ part.text }}{{ part.text }}"),
    "reverses": ("{% for m in messages %}", "{% for m in messages | reverse %}"),
    "keeps the end": ("{% for m in messages %}", "{% for m in messages[-1:] %}"),
    "drops answers": ("{% for m in messages %}", "{% for m in messages if m.role == 'user' %}"),
    "drops questions": ("{% for m in messages %}", "{% for m in messages if m.role != 'user' %}"),
    "prints lists": ("{% if m.content is string %}", "{% if true %}"),
    "sums up": (
        "{% if add_generation_prompt %}",
        "{{ messages | length + messages[1].content[0].text | length }}{% if false %}",
    ),
}


@pytest.mark.parametrize("kind", BREAK)
def test_a_template_that_changes_texts_is_refused(kind):
    old, new = BREAK[kind]
    assert old in QWEN
    render = renderer(QWEN.replace(old, new))
    with pytest.raises(MaskError, match="the chat template"):
        locate_texts(talk("What <is>  this?", "A Red  <digit>", "So?", "Yes"), render)


THINKS = QWEN.replace("{{ part.text }}", "{{ part.text.split('</think>')[-1].lstrip('\\n') }}")
EMPTY = (  # Qwen3.5's, as GLM's, writes an empty thought where there is none
    "{% if m.role != 'assistant' or '</think>' in part.text %}{{ part.text }}"
    "{% else %}{{ '<think>\n\n</think>\n\n' + part.text }}{% endif %}"
)
NAMED = {
    "</think>": ("the response 'so</think>it is'.*`pool.forbidden: .'</think>'.`", THINKS),
    "empty thought": ("the response 'so</think>it is'", QWEN.replace("{{ part.text }}", EMPTY)),
    "A": ("the question 'A'", QWEN.replace("part.text", "part.text | replace('A', 'a')")),
    "<b>": ("the response '<b>'", QWEN.replace("part.text", "part.text | replace('<b>', '')")),
    "long": (
        "the system prompt 'long'",
        QWEN.replace("part.text", "part.text | replace('long', 'short')"),
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_the_text_that_a_template_alters_is_named(kind):
    message, template = NAMED[kind]
    thought = ("?", "so</think>it is")
    texts = {"</think>": thought, "empty thought": thought, "A": ("A", "b"), "<b>": ("x", "<b>")}
    for before in ((), ("first", "one"), ("first", "one", "second", "two")):
        system = "long" if kind == "long" else None
        record = talk(*before, *texts.get(kind, ("x", "y")), system=system)
        with pytest.raises(MaskError, match=f"the chat template does not render {message}"):
            locate_texts(record, renderer(template))


PARTS = "{% for m in messages %}{{ m.role }}: {{ m.content[0]['text'] }}\n{% endfor %}"
TEXTS = "{% for m in messages %}{{ m.role }}: {{ m.content + '\n' }}{% endfor %}"


def by_role(*strings):
    """Return a template that writes the content of some roles as it is, and parts of others."""
    return (
        "{% for m in messages %}{{ m.role }}: {% if m.role in "
        + repr(list(strings))
        + " %}{{ m.content | trim }}{% else %}{{ m.content[0]['text'] }}{% endif %}\n{% endfor %}"
    )


@pytest.mark.parametrize(
    ("template", "roles"),
    [
        (PARTS, set()),
        (by_role("system"), {"system"}),  # Gemma 4
        (by_role("system", "assistant"), {"system", "assistant"}),  # GLM-4.1V
        (by_role("assistant"), {"assistant"}),  # Pixtral
        (by_role("user"), {"user"}),
        (TEXTS, {"system", "user", "assistant"}),
        (PARTS.replace("in messages", "in messages if m.role != 'system'"), set()),
        (TEXTS.replace("in messages", "in messages if m.role != 'system'"), ROLES),
        ("{{ messages[4].content }}", set()),
    ],
)
def test_roles_whose_turns_are_strings_to_a_template(template, roles):
    def render(messages):
        try:
            return renderer(template)(messages)
        except (TypeError, UndefinedError) as error:
            raise MaskError(str(error)) from error

    found = string_roles(render)
    assert found == roles
    record = talk("what?", "yes", "so?", "no", system="be brief")
    if template != "{{ messages[4].content }}":
        _, spans = locate_texts(record, lambda messages: render(with_strings(messages, found)))
        assert len(spans["user"]) == len(spans["assistant"]) == 2


def test_a_template_may_drop_the_system_prompt():
    template = QWEN.replace("messages %}", "messages if m.role != 'system' %}", 1)
    record = talk("what?", "yes", system="be brief")
    assert located(template, record, "assistant") == ["yes<|im_end|>"]
    assert located(template, record, "system") == []


def test_without_a_response_there_is_nothing_to_train_on():
    with pytest.raises(MaskError, match="no response"):
        locate_texts(talk("what?"), renderer(CHATML))


def test_spans_move_with_what_the_processor_writes_for_images():
    text = "a<i>bc<i>d"
    replacements = [
        {"span": (1, 4), "new_span": (1, 6), "replacement": "IIIII"},
        {"span": (6, 9), "new_span": (8, 9), "replacement": "J"},
    ]
    expanded = expand(text, replacements)
    assert expanded == "aIIIIIbcJd"
    for part in "abcd":
        start = text.index(part)
        assert expanded[slice(*shift((start, start + 1), replacements))] == part
    assert np.array_equal(shift((4, 6), replacements), (6, 8))
