"""README, pages and site: short, true to the files that they name, complete where generated."""

import re
from collections.abc import Iterator, Mapping

import pytest
from generate_reference import TABLES, pages, read_schema
from running import ROOT
from yaml import safe_load

README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]
GENERATED = pages()
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")
FOLDERS = ["configs", "docs", "envs", "performance", "profiles", "report", "results", "rules"]
FOLDERS += ["scripts", "tests"]
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
TO_WRITE = {"profiles/kubernetes/config.yaml"}  # by a user
KEYWORDS = (
    "$schema $ref $defs type additionalProperties required if then properties description pattern"
    " default enum items uniqueItems minimum maximum exclusiveMinimum exclusiveMaximum minLength"
    " minItems maxItems minProperties propertyNames allOf anyOf not const path trial"
)


def ids(paths):
    """Names of files, for pytest."""
    return [path.name for path in paths]


def test_pictures_are_small_and_shown_with_words():
    shown = {}
    for page in (README, *DOCS):
        for words, target in PICTURE.findall(page.read_text(encoding="utf-8")):
            assert len(words) > 30, f"{page.name}: {target} has no description"
            shown[(page.parent / target).resolve()] = page
    assert set(shown) == set((ROOT / "docs").rglob("*.png"))
    assert max(path.stat().st_size for path in shown) < 200_000


def test_the_readme_is_short_and_begins_with_two_commands():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert text.index("    make demo ") < text.index("    make test ") < text.index("\n## ")


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" not in target and path not in GENERATED:
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not anchor or anchor in slugs(file), target


def slugs(file):
    """Anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name
)
def test_paths_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    if page.name == "add_a_method.md":  # it writes files of its own
        text = re.sub(r"\S*hardest_per_source\S*|\S*test_added_method\S*", "", text)
    named = {path for path in PATH.findall(text) if not path.startswith("results/")}
    assert not {path for path in named - TO_WRITE if not (ROOT / path).exists()}


def test_the_layout_of_the_readme_is_that_of_the_repository():
    text = README.read_text(encoding="utf-8").partition("## Layout\n")[2].partition("\n\n")[0]
    named = set(re.findall(r"^    ([\w.]+/?) ", text, re.MULTILINE))
    assert {f"{name}/" for name in FOLDERS} - {"configs/"} < named
    assert not {name for name in named if not (ROOT / name).exists()}


def test_every_make_target_that_a_page_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    named = {name for text in texts for name in re.findall(r"(?:`|    )make ([a-z-]+)", text)}
    assert {"demo", "test", "plan", "card"} <= named <= targets


def test_the_slurm_profile_names_every_rule_that_may_use_a_gpu():
    start = re.compile(r"^ *rule (?=\w+:)", re.MULTILINE)
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "rules").rglob("*.smk")]
    rules = [rule for text in texts for rule in start.split(text)[1:]]
    users = {rule.partition(":")[0] for rule in rules if re.search(r"^ +gpu=", rule, re.MULTILINE)}
    used = [pair for text in texts for pair in re.findall(r"use rule (\w+) as (\w+)", text)]
    users |= {name for base, name in used if base in users}
    profile = (ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8")
    assert "finetune_model" in users
    assert set(re.findall(r"^#   (\w+): \{gpu_model", profile, re.MULTILINE)) == users


def test_the_site_leads_to_every_page():
    nav = safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = re.findall(r"[\w/]+\.md", str(nav))
    assert sorted(listed) == sorted([*ids(DOCS), *GENERATED])


def schema_keys(schema: Mapping, root: Mapping, path: str = "") -> Iterator[str]:
    """Every key of a config, with <name> where names are the user's."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **schema}
    for key, child in schema.get("properties", {}).items():
        yield f"{path}{key}"
        yield from schema_keys(child, root, f"{path}{key}.")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from schema_keys(schema["additionalProperties"], root, f"{path}<name>.")


def test_every_config_key_is_in_the_reference():
    page, schema = GENERATED["reference/config.md"], read_schema()
    found = list(schema_keys(schema, schema))
    assert len(found) > 100 and "tasks.<name>.build.layout" in found
    for key in found:
        key = re.sub(r".*\.(?=finetune\.)", "", key)  # the page leads from there to `finetune`
        assert f"\n## {key}\n" in page or f"| `{key}` | " in page, key
    assert "see [finetune](#finetune)" in page


def test_every_parameter_of_a_method_is_in_the_reference():
    page, count = GENERATED["reference/config.md"], 0
    for path in sorted((ROOT / "rules/methods").glob("*.smk")):
        declaration = path.read_text(encoding="utf-8").partition("\nrule ")[0]
        assert f"\n### {path.stem}\n" in page
        for name in re.findall(r'^        "(\w+)": \{$', declaration, re.MULTILINE):
            assert f"| `methods.{path.stem}.{name}` | " in page
            count += 1
    assert count > 40


def test_the_reference_says_what_the_schema_says():
    page = GENERATED["reference/config.md"]
    row = "| `methods.coincide.temperature` | number, > 0 | `0.1` | tau of the allocation"
    assert row in page
    assert "| `models.<name>.path` | text | required | " in page
    assert "| `models.<name>.dtype` | `float32`, `bfloat16`, `float16` | `float32` | " in page
    assert "| `models.<name>.max_length` | integer or null, ≥ 1 | `null` | " in page
    assert "`single:<task>`" in page and "](../environments.md)" in page


def test_files_that_the_reference_names_are_there():
    page = GENERATED["reference/config.md"]
    named = set(re.findall(r"\b(?:rules|scripts|envs|docs|vlselect)/[\w./-]*\w", page))
    assert len(named) > 10
    assert not {p for p in named if not (ROOT / p).exists() and not (ROOT / "scripts" / p).exists()}


def test_every_column_of_a_table_is_in_the_reference():
    page = GENERATED["reference/tables.md"]
    for table, columns in TABLES.items():
        section = page.partition(f"\n## {table}.csv\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE) == list(columns), table


def test_the_schema_has_no_keyword_that_is_half_of_a_sentence():
    def keywords(part, names=False):
        if isinstance(part, dict):
            for key, value in part.items():
                if not names:
                    yield key
                if key not in ("default", "enum", "const") or names:
                    yield from keywords(value, key in ("properties", "$defs") and not names)
        elif isinstance(part, list):
            for value in part:
                yield from keywords(value)

    assert set(keywords(read_schema())) <= set(KEYWORDS.split())
