"""Check models and the settings of their training before any job runs.

Read by the workflow, so it imports nothing heavy.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vlselect.config import trial
from vlselect.config.checks import ConfigError
from vlselect.config.finetune_settings import Settings
from vlselect.config.selection_seeds import WARMED_UP
from vlselect.core.errors import InputError


def check_models(config: Mapping) -> None:
    """Check that models can be found, and trained as asked.

    Parameters
    ----------
    config : mapping
        A config that passed `check_references`, with its experiments completed and its methods'
        defaults filled in.

    Raises
    ------
    ConfigError
        Naming every wrong key and what to do.
    """
    problems = [*_places(config), *_trainings(config), *_vectors(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def _places(config: Mapping) -> Iterator[str]:
    """Yield models that are neither a directory nor a hub id at a revision."""
    made_here = Path("results", trial.origin(config))
    for name, model in config["models"].items():
        path = Path(model["path"])
        if model["revision"] and path.is_dir():
            yield (
                f"models.{name}.revision: {model['path']} is a directory, a revision is for a hub "
                "id; set it to null, or move the directory if you mean the hub"
            )
        if config.get("given"):
            continue  # a model whose files of results are here may be elsewhere
        if not model["revision"] and not path.is_dir() and not path.is_relative_to(made_here):
            yield (
                f"models.{name}.path: no directory {model['path']}. Put the model there; or, if it "
                "is a hub id, set `revision` to the commit that you want"
            )


def _trainings(config: Mapping) -> Iterator[str]:
    """Yield settings that contradict each other or a model's."""
    for section, values, models in _sections(config):
        try:
            settings = Settings.from_mapping(values)
        except InputError as error:
            yield f"{section}: {error}"
            continue
        for name in models:
            model = config["models"][name]
            if settings.adapter == "none" and model["quantisation"]:
                yield (
                    f"{section}.adapter: none, but models.{name}.quantisation is "
                    f"{model['quantisation']}: quantised weights cannot be trained; use lora"
                )
            merged = section == "finetune" and config["generate"]["merge_adapters"]
            if merged and model["quantisation"]:
                yield (
                    f"generate.merge_adapters: true, but models.{name}.quantisation is "
                    f"{model['quantisation']}: nothing is added to quantised weights; leave it out"
                )
            if settings.processes > 1 and ":" in model["device"]:
                yield (
                    f"{section}.processes: {settings.processes}, but models.{name}.device is "
                    f"{model['device']}, one GPU; use cuda"
                )


def _vectors(config: Mapping) -> Iterator[str]:
    """Yield what cannot be had of the warmed-up model."""
    gradients = config.get("gradients") or {"representation": None}
    kind = gradients["representation"]
    if kind == "lora" and gradients["warm_up"]["finetune"]["adapter"] != "lora":
        yield (
            "gradients.warm_up.finetune.adapter: none, but gradients.representation is lora, the "
            "gradients of a LoRA adapter; set it to hidden or output, or warm up with lora"
        )
    validated = any({"validation", "build"} & task.keys() for task in config["tasks"].values())
    if gradients.get("store") == "influence" and not validated:
        yield "gradients.store: influence, but no task has a validation set; set it to projected"
    if kind == "lora":
        projection = gradients["projection"]
        if projection["type"] == "sjlt" and projection["nonzeros"] > projection["dim"]:
            yield (
                f"gradients.projection.nonzeros: {projection['nonzeros']}, which is more than "
                f"gradients.projection.dim, {projection['dim']}"
            )
        device = config["models"][gradients["model"]]["device"]
        if projection["implementation"] == "cuda" and device == "cpu":
            yield (
                f"gradients.projection.implementation: cuda, but models.{gradients['model']}.device"
                " is cpu; leave it out"
            )
    of_lora = {"normalise_subtasks": True, "precondition": "none"}  # the only other values
    for key, plain in of_lora.items():
        if kind in ("hidden", "output") and gradients[key] != plain:
            yield (
                f"gradients.{key}: {str(gradients[key]).lower()}, but gradients.representation is "
                f"{kind}: only gradients of a LoRA adapter have it; leave it out"
            )


def _sections(config: Mapping) -> Iterator[tuple[str, Mapping, list[str]]]:
    """Yield every section of finetuning settings, with the models that it trains."""
    trained = {name for entry in config["experiments"].values() for name in entry["models"]}
    yield "finetune", config["finetune"], sorted(trained)
    for section in (name for name in WARMED_UP if name in config):
        warmed = config[section]
        yield f"{section}.warm_up.finetune", warmed["warm_up"]["finetune"], [warmed["model"]]
    for name, parameters in config["methods"].items():
        if "finetune" in parameters:
            yield f"methods.{name}.finetune", parameters["finetune"], [parameters["model"]]
