"""Fix the date that a chat template writes, so that a config makes the same prompts on every day.

Templates of Mistral Small, Llama and others ask `strftime_now` for today's date. A macro of that
name in front of the template answers for one day instead. A processor that is saved keeps it.
"""

import json
from datetime import date

from transformers import ProcessorMixin

_CLOCK = "strftime_now"
_DIRECTIVES = "YmdBbAaejyCGgUVWuwxDFHIMSpcTRXZz"


def fix_date(processor: ProcessorMixin, day: str) -> None:
    """Make a processor's chat templates write this date (YYYY-MM-DD), if they write one."""
    for owner in (processor, processor.tokenizer):
        template = owner.chat_template
        if isinstance(template, dict):
            owner.chat_template = {name: dated(text, day) for name, text in template.items()}
        elif template is not None:
            owner.chat_template = dated(template, day)


def dated(template: str, day: str) -> str:
    """Put a `strftime_now` that knows a single day, from midnight, in front of a template.

    A template that has no use for it, or has one already, is returned unchanged.
    """
    if _CLOCK not in template or f"macro {_CLOCK}" in template:
        return template
    fixed = date.fromisoformat(day)
    parts = [f"%-{letter}" for letter in "dmjyHIMS"] + [f"%{letter}" for letter in _DIRECTIVES]
    replaced = "".join(
        f".replace({json.dumps(part)}, {json.dumps(fixed.strftime(part))})" for part in parts
    )
    # Jinja drops the line break after a block, so the template itself begins on a line of its own.
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{replaced} }}}}{{% endmacro %}}\n{template}"
