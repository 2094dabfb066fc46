"""Facts that a plan is made of, and the stages that it lists."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vlselect.config.selection_seeds import selection_seeds
from vlselect.plan.planning import Rates, Work
from vlselect.subsets import budget

MEASURED, RECKONED, UNKNOWN = "measured", "reckoned", "unknown"


@dataclass(frozen=True)
class Stage:
    """What a rule takes, for one model or task where it runs for several.

    Attributes
    ----------
    name : str
        Rule, and model where there is one.
    jobs : int
    seconds : float or None
        Of all jobs.
    disk : float or None
        Bytes that stay.
    memory, gpu_memory : float or None
        Bytes of one job, at most.
    model : bool
        Whether a model runs in it, on the device of the calibration.
    basis : str
        How the seconds are known.
    """

    name: str
    jobs: int
    seconds: float | None = None
    disk: float | None = 0
    memory: float | None = None
    gpu_memory: float | None = None
    model: bool = False
    basis: str = UNKNOWN


@dataclass(frozen=True)
class Facts:
    """What a plan is made of.

    Attributes
    ----------
    config : mapping
        With all defaults, as in provenance.json.
    runs : list of dict
        model, method, budget, seed of every finetuned model.
    n_pool : int
    questions, validation : mapping of str to int
        Test and validation questions of each task.
    widths : mapping of str to mapping of str to int
        For each model the columns of each kind of features; kinds not known are absent.
    calibration : mapping
        Of scripts/calibrate.py; empty without one.
    """

    config: Mapping
    runs: list[dict]
    n_pool: int
    questions: Mapping[str, int]
    validation: Mapping[str, int]
    widths: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    calibration: Mapping = field(default_factory=dict)

    @property
    def rates(self) -> Rates | None:
        """Rates of the machine, where they were measured."""
        machine = self.calibration.get("machine")
        return Rates(**machine) if machine else None

    def columns(self, model: str, kind: str) -> int | None:
        """Width of a kind of features: as measured, or as the model's config says."""
        measured = self.calibration.get("columns", {}).get(model, {})
        return measured.get(kind) or self.widths.get(model, {}).get(kind)

    def seeds(self, section: str, method: str) -> int:
        """How many seeds a section has in the runs of a method: its files are made for each."""
        runs = [run for run in self.runs if run["method"] == method]
        return len(selection_seeds(self.config, section, runs))

    def chosen(self, label: str) -> int:
        """Samples in a budget; of tokens it is not known before, and all of the pool is assumed."""
        kind, _ = budget.parse(label)
        return self.n_pool if kind == "tokens" else budget.samples(self.n_pool, label)

    def reckoned(self, name: str, jobs: int, works: Iterable[Work] | None, **sizes) -> Stage:
        """A stage without a model: its jobs' work by the machine's rates."""
        if self.rates is None or works is None:
            return Stage(name, jobs, **sizes)
        seconds = sum(self.rates.seconds(work) for work in works)
        return Stage(name, jobs, seconds, basis=RECKONED, **sizes)

    def modelled(self, name: str, sizes: Iterable[float], disk: float | None) -> Stage:
        """A stage whose jobs each run a model over so many samples, as was measured."""
        sizes = list(sizes)
        found = self.calibration.get("stages", {}).get(name, {})
        if "each" not in found:
            return Stage(name, len(sizes), disk=disk, model=True)
        seconds = len(sizes) * found["fixed"] + found["each"] * sum(sizes)
        memory = (found["memory"], found["gpu_memory"])
        return Stage(name, len(sizes), seconds, disk, *memory, True, MEASURED)
