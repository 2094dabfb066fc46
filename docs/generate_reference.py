"""Pages of the site that are made from what the program itself declares.

The config reference comes from the schema and the methods' declarations, the tables' columns from
theirs. `mkdocs` gets them through site_hook.py when it builds the site; they are never committed.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "rules"
sys.path.insert(0, str(ROOT / "scripts"))

from vlselect.config.checks import resolve  # noqa: E402
from vlselect.config.yaml_files import read_yaml  # noqa: E402
from vlselect.tables.declarations import TABLES  # noqa: E402

DECLARATION = re.compile(r"^declare_method\(.*?\)$(?=\n\n)", re.DOTALL | re.MULTILINE)
NAMES = {  # of the workflow, that declarations use
    "VALIDATED": ["<task>"],
    "GROUPS": {},
}
CONFIG_HEAD = """# Config keys

Names in angle brackets are yours to choose. An unknown key, a value of another type or out of
range, and a name that nothing defines stop the run before any job. Where a rule or a file stands
in brackets, it is the one that reads the key. Budgets (`ratios`, `samples`, `tokens`) and `seeds`
hold for every experiment that names none of its own.
"""
TABLES_HEAD = """# Tables and their columns

CSV files in `results/<run>/tables/`; `refused.csv` and `refused_tasks.csv` are in
`results/<run>/features/<model>/`.
"""
HEADER = "| key | value | default | meaning |\n|---|---|---|---|\n"
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def pages() -> dict[str, str]:
    """Return the Markdown text of every generated page by its path on the site."""
    return {
        "reference/config.md": config_page(),
        "reference/tables.md": tables_page(),
        "contributing.md": root_page("CONTRIBUTING.md"),
        "changelog.md": root_page("CHANGELOG.md"),
    }


def config_page() -> str:
    """Return the reference of all config keys, a section for each one at the top level."""
    schema = read_schema()
    parts = [CONFIG_HEAD]
    for key, child in schema["properties"].items():
        required = key in [*schema["required"], *schema["then"]["required"]]
        own, *below = key_rows(key, child, schema, required)
        about = child["description"] + "; required" * required if below else ""
        parts.append(section(f"## {key}", about, below or [own]))
    parts.append("## Parameters of the methods\n\nThey stand under `methods.<method>`.\n")
    for method, (about, parameters) in declared_methods().items():
        rows = list(key_rows(f"methods.{method}", parameters, schema, False))[1:]
        parts.append(section(f"### {method}", about, rows))
    return "\n".join(parts)


def tables_page() -> str:
    """Return the columns of every table in results/<run>/tables/."""
    parts = [TABLES_HEAD]
    for table, columns in TABLES.items():
        rows = [
            f"| `{name}` | {kind} | {escaped(text)} |" for name, (kind, text) in columns.items()
        ]
        head = f"## {table}.csv\n\n| column | type | meaning |\n|---|---|---|\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)


def root_page(name: str) -> str:
    """Return a page that stands at the top of the repository, with its links made for docs/."""
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")


def read_schema() -> dict:
    """Read the config's JSON schema."""
    return resolve(read_yaml(RULES / "schemas/config.schema.yaml"))


def declared_methods() -> dict[str, tuple[str, dict]]:
    """Return what each rules/methods/<method>.smk says first, and the schema of its parameters.

    A declaration is a plain call, so it is run with a function that keeps what it is given.
    """
    found, definitions = {}, read_schema()["$defs"]
    for path in sorted((RULES / "methods").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        about = text.removeprefix('"""').partition("\n")[0]

        def keep(name, parameters, about=about, **_):
            schema = {"type": "object", "properties": parameters, "$defs": definitions}
            found[name] = about, resolve(schema)

        exec(DECLARATION.search(text).group(), {**NAMES, "declare_method": keep})
    return found


def section(heading: str, about: str, rows: list[str]) -> str:
    """Return a heading, what it is about, and a table of keys."""
    table = HEADER + "\n".join(rows) if rows else "No parameters."
    return "\n\n".join(filter(None, [heading, escaped(about), table])) + "\n"


def key_rows(path: str, schema: Mapping, root: Mapping, required: bool) -> Iterator[str]:
    """Yield the table row of a key, then those of the keys below it."""
    schema = resolved(schema, root)
    default = "required" if required else shown(schema["default"]) if "default" in schema else ""
    about, children = escaped(schema.get("description", "")), schema.get("properties", {})
    if children == root["$defs"]["finetune"]["properties"] and path != "finetune":
        about, children = f"{about}: see [finetune](#finetune)", {}
    yield f"| `{path}` | {kind(schema, root)} | {default} | {about} |"
    for key, child in children.items():
        yield from key_rows(f"{path}.{key}", child, root, key in schema.get("required", []))
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping):
        own, *below = key_rows(f"{path}.<name>", others, root, False)
        yield from [own, *below] if "description" in resolved(others, root) else below


def resolved(schema: Mapping, root: Mapping) -> dict:
    """Return a part of the schema with what its `$ref` stands for; its own words come first."""
    if "$ref" not in schema:
        return dict(schema)
    target = root
    for name in schema["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return {**resolved(target, root), **{k: v for k, v in schema.items() if k != "$ref"}}


def kind(schema: Mapping, root: Mapping) -> str:
    """Return in a few words which values a key takes."""
    schema = resolved(schema, root)
    if "enum" in schema:
        return ", ".join(shown(value) for value in schema["enum"])
    if "const" in schema:
        return shown(schema["const"])
    if "type" not in schema:
        return " or ".join(kind(option, root) for option in schema.get("anyOf", []))
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = {"object": "mapping", "string": "text", "array": "list"}
    text = " or ".join(words.get(name, name) for name in types)
    if "array" in types and len(types) <= 2 and "items" in schema:
        text = text.replace("list", f"list of {kind(schema['items'], root)}")
    limits = [f"{sign} {schema[name]:g}" for name, sign in LIMITS.items() if name in schema]
    return escaped(", ".join([text, *limits]))


def shown(value: object) -> str:
    """Return a value as YAML has it, as code."""
    words = {None: "null", True: "true", False: "false"}
    known = isinstance(value, bool) or value is None
    return f"`{words[value] if known else value}`"


def escaped(text: str) -> str:
    """Return a text for the cell of a table: plain but for its code, with links to pages."""
    parts = re.sub(r"docs/(\w+\.md)", r"[\1](../\1)", text).split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)
