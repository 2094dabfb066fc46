"""Configs are refused, with the key, before any job runs."""

import copy

import pytest
from config_defaults import FINETUNE, GOOD, SCHEMA

from vlselect.config.checks import (
    ConfigError,
    check,
    check_names,
    check_references,
    resolve,
)


def changed(path, value):
    """GOOD with one key set, or deleted where the value is None."""
    config = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    section = config
    for key in parents:
        section = section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return config


def test_defaults_are_filled_at_every_depth():
    config = copy.deepcopy(GOOD)
    check(config, SCHEMA)
    assert config["threads"] == 1 and config["seeds"] == [0] and config["cached"] is False
    assert config["models"]["target"]["dtype"] == "float32"
    assert config["models"]["small"]["revision"] == "abc"
    assert config["tasks"]["vqa"]["metric"] == "exact_match"
    assert config["gradients"]["warm_up"]["fraction"] == 0.05
    assert config["features"]["attention"]["mass"] == 0.9
    assert config["gradients"]["warm_up"]["finetune"] == config["finetune"] == FINETUNE
    assert config["finetune"]["rank"] == 128 and config["finetune"]["betas"] == [0.9, 0.999]


def test_settings_of_the_warm_up_that_a_config_names_stay():
    config = changed("gradients.warm_up", {"finetune": {"rank": 4}})
    check(config, SCHEMA)
    assert config["gradients"]["warm_up"]["finetune"] == FINETUNE | {"rank": 4}


def test_references_are_replaced_and_what_stands_beside_them_holds():
    schema = {
        "$defs": {"n": {"type": "integer", "default": 3, "description": "a number"}},
        "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n", "default": 4}},
    }
    plain = resolve(schema)["properties"]
    assert plain["a"] == schema["$defs"]["n"] and plain["b"] == plain["a"] | {"default": 4}
    section = {}
    check(section, schema)
    assert section == {"a": 3, "b": 4}
    with pytest.raises(ConfigError, match=r"config.a: 'x' is not of type 'integer' \(a number\)"):
        check({"a": "x"}, schema)


def test_a_key_of_an_earlier_version_is_told_its_new_name():
    config = changed("methods.icons", {"percentile": 20})
    with pytest.raises(ConfigError) as error:
        check_names(config)
    assert str(error.value) == "methods.icons.percentile: is called methods.icons.top_percent now"
    for icons in ({"top_percent": 20}, None):
        check_names(changed("methods.coincide", {}) | {"methods": {"icons": icons}})


def test_budgets_mean_the_same_everywhere():
    experiment = SCHEMA["properties"]["experiments"]["additionalProperties"]["properties"]
    for kind in ("ratios", "samples", "tokens", "seeds"):
        own, all_runs = experiment[kind], SCHEMA["properties"][kind]
        rest = {"description", "default"}
        assert {k: own[k] for k in own.keys() - rest} == {
            k: all_runs[k] for k in all_runs.keys() - rest
        }


def test_a_key_that_is_gone_says_what_to_do_now():
    config = copy.deepcopy(GOOD) | {"plan": {"samples": 64}}
    with pytest.raises(ConfigError, match=r"^plan: is gone; `make plan TRIAL="):
        check_names(config)


def test_filled_defaults_are_copies():
    first, second = copy.deepcopy(GOOD), copy.deepcopy(GOOD)
    check(first, SCHEMA)
    first["seeds"].append(5)
    first["tasks"]["vqa"]["metric_options"]["x"] = 1
    check(second, SCHEMA)
    assert second["seeds"] == [0] and second["tasks"]["vqa"]["metric_options"] == {}


def test_checking_twice_changes_nothing():
    config = copy.deepcopy(GOOD)
    check(config, SCHEMA)
    before = copy.deepcopy(config)
    check(config, SCHEMA)
    assert config == before


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "blue", "config: unknown key 'colour'; known keys: cached, "),
        ("pool.shard", 2, "config.pool: unknown key 'shard' (did you mean 'shards'?); known"),
        ("tasks.vqa.tset", "x", "config.tasks.vqa: unknown key 'tset' (did you mean 'test'?)"),
        ("models.target.weights", "x", "config.models.target: unknown key 'weights'"),
        ("gradients.warmup", {}, "config.gradients: unknown key 'warmup'"),
        ("experiments.main.seed", 0, "config.experiments.main: unknown key 'seed'"),
        ("run", None, "config: 'run' is a required property"),
        ("models.target.path", None, "config.models.target: 'path' is a required property"),
        ("run", "../elsewhere", "config.run: '../elsewhere'"),
        ("threads", 0, "config.threads: 0 is less than the minimum of 1"),
        ("pool.shards", 0, "config.pool.shards: 0"),
        ("pool.shards", 2.5, "config.pool.shards: 2.5 is not of type 'integer'"),
        ("pool.shards", 2.0, "config.pool.shards: 2.0 is not of type 'integer'; write 2"),
        (
            "pool.max_pixels",
            1e8,
            "config.pool.max_pixels: 100000000.0 is not of type 'integer'; ",
        ),
        ("pool.records", "a{1}.json", "config.pool.records: 'a{1}.json': in braces Snakemake sees"),
        ("models.target.path", "m-{model}", "config.models.target.path: 'm-{model}': in braces"),
        ("ratios", [0.2, 0], "config.ratios.1: 0"),
        ("ratios", [1.01], "config.ratios.0: 1.01 is greater than the maximum of 1"),
        ("ratios", [0.2, 0.2], "config.ratios: [0.2, 0.2] has non-unique elements"),
        ("ratios", [], "config.ratios: [] should be non-empty"),
        ("seeds", [-1], "config.seeds.0: -1"),
        ("samples", [0], "config.samples.0: 0"),
        ("tokens", [1.5], "config.tokens.0: 1.5"),
        ("experiments.main.ratios", [2], "config.experiments.main.ratios.0: 2"),
        ("experiments.main.methods", [], "config.experiments.main.methods: []"),
        ("tasks.vqa.metric", 3, "config.tasks.vqa.metric: 3 is not "),
        ("tasks.votes", {}, "config.tasks: "),
        ("tasks.a/b", {}, "config.tasks: 'a/b' does not match"),
        ("tasks.left.group", "mean_rank", "config.tasks.left.group: "),
        ("models.target.batch_size", 65, "config.models.target.batch_size: 65"),
        ("models.target.batch_tokens", 0, "config.models.target.batch_tokens: 0"),
        ("models.target.batch_tokens", "all", "config.models.target.batch_tokens: 'all'"),
        ("models.target.dtype", "int8", "config.models.target.dtype: 'int8'"),
        ("models.target.device", "tpu", "config.models.target.device: 'tpu'"),
        ("gradients.projection", {"type": "fft"}, "config.gradients.projection.type: 'fft'"),
        ("gradients.warm_up", {"fraction": 0}, "config.gradients.warm_up.fraction: 0"),
        ("finetune", {"adapter": "prefix"}, "config.finetune.adapter: 'prefix'"),
        ("finetune", {"lr": 1}, "config.finetune: unknown key 'lr'"),
        ("generate", {"max_new_tokens": 0}, "config.generate.max_new_tokens: 0"),
    ],
)
def test_a_wrong_key_or_value_is_named(path, value, message):
    with pytest.raises(ConfigError) as error:
        check(changed(path, value), SCHEMA)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("2e-5", "write 2.0e-5"),
        ("1E3", "write 1.0e+3"),
        ("2.5e05", "write 2.5e+05"),
        ("-1.e-3", "write -1.0e-3"),
        ("0.1", "in quotes this is text: write 0.1"),
        ("fast", None),
    ],
)
def test_a_text_that_is_meant_as_a_number_is_told_how_to_be_one(written, cure):
    with pytest.raises(ConfigError, match="finetune.learning_rate: .* of type 'number'") as error:
        check(changed("finetune", {"learning_rate": written}), SCHEMA)
    assert cure in str(error.value) if cure else "write" not in str(error.value)


def test_a_number_is_told_to_be_whole_where_that_is_what_is_wrong():
    with pytest.raises(ConfigError, match="pool.shards: 2.0 .*; write 2"):
        check(changed("pool.shards", 2.0), SCHEMA)
    with pytest.raises(ConfigError, match="learning_rate: 0.0 is less than or equal to") as error:
        check(changed("finetune", {"learning_rate": 0.0}), SCHEMA)
    assert "write" not in str(error.value)


def test_a_text_among_several_types_is_told_how_to_be_a_number():
    build = {"layout": "vqa", "questions": "q.json", "validation": "1e2"}
    with pytest.raises(ConfigError, match="build.validation: .*: write 1.0e\\+2"):
        check(changed("tasks.built", {"build": build}), SCHEMA)


def test_a_wrong_value_is_explained_by_the_keys_description():
    with pytest.raises(ConfigError, match=r"0 is less than .* \(parts that features and"):
        check(changed("pool.shards", 0), SCHEMA)


def test_all_problems_are_named_at_once():
    config = changed("threads", 0)
    config["ratios"] = [7]
    with pytest.raises(ConfigError) as error:
        check(config, SCHEMA)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        "config.ratios.0",
        "config.threads",
    ]


def test_a_section_says_where_it_stands():
    schema = {"type": "object", "properties": {"a": {"default": 3}}, "additionalProperties": False}
    section = {}
    check(section, schema, "methods.mine")
    assert section == {"a": 3}
    with pytest.raises(ConfigError, match="^methods.mine: unknown key 'b'; known keys: a$"):
        check({"b": 1}, schema, "methods.mine")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("methods.coincide.model", "big", "methods.coincide.model: no model 'big' in `models`"),
        ("gradients.model", "big", "gradients.model: no model 'big' in `models`"),
        ("experiments.main.methods", ["x"], "experiments.main.methods: no 'x' in `methods`"),
        ("experiments.main.models", ["x"], "experiments.main.models: no 'x' in `models`"),
        ("tasks.left.group", "vqa", "tasks.left.group: 'vqa' is the name of a task"),
        ("tasks.vqa.validation", None, "tasks.vqa.validation: missing, but method 'icons' needs"),
        ("tasks", {}, "tasks: empty, but method 'icons' needs validation data"),
        ("gradients", None, "gradients: missing, but method 'icons' needs it"),
    ],
)
def test_a_reference_to_nothing_is_named(path, value, message):
    with pytest.raises(ConfigError) as error:
        check_references(changed(path, value), {"icons"})
    assert str(error.value).startswith(message)


def test_a_gate_needs_the_model_of_the_gradients():
    config = changed("gate", {})
    check(config, SCHEMA)
    assert config["gate"] == {"share": 0.2} and "gate" not in GOOD
    check_references(config, {"icons"})
    del config["gradients"]
    with pytest.raises(ConfigError, match=r"^gate: needs the section `proxy` or `gradients`"):
        check_references(config)
    config["proxy"] = {"model": "target"}
    check_references(config)
    config["proxy"]["model"] = "x"
    with pytest.raises(ConfigError, match=r"^proxy\.model: no model 'x' in `models`"):
        check_references(config)


def test_good_references_pass():
    check_references(GOOD, {"icons"})


def test_validation_is_needed_only_by_methods_that_are_used():
    config = changed("experiments.main.methods", ["random"])
    del config["gradients"], config["tasks"]["vqa"]["validation"]
    check_references(config, {"icons"})


def test_every_key_of_the_schema_is_described():
    def walk(schema, where):
        for key, child in schema.get("properties", {}).items():
            assert child.get("description"), f"{where}.{key}"
            walk(child, f"{where}.{key}")
        if isinstance(schema.get("additionalProperties"), dict):
            walk(schema["additionalProperties"], f"{where}.*")

    walk(SCHEMA, "config")
