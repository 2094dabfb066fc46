"""Time the whole job for a sample: tokenise, load its image, forward, backward, project, store.

Ours is the function with which collect_gradients writes a shard. Every contender's file is checked
against the exact gradients, projected, before it is timed. Then ours runs once more, for the time
of its parts.
"""

import functools
import math
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import released_programs
import torch
import torch.nn.functional as F  # noqa: N812
from clocks import in_turns, ratio, write_table
from per_sample_gradients import why_not
from references import exact, lora_weights, worst_error

from models import Subject, options, subjects
from vlselect.core import store
from vlselect.features.parts import Part
from vlselect.gradients import projection, vectors
from vlselect.gradients.per_sample import PerSampleGradients, project_gradients
from vlselect.models import batching

SIZES = {"tiny": 64, "larger": 16}
CHECKED = 3
TOLERANCE = {"ours": 5e-3, "theirs": 2e-3}  # ours is stored in float16
# Projects one sample at a time, making the 696,320 x 5,120 matrix for each: half a minute.
LEFT_OUT = {("larger", "TRAKer, iterative")}
PROFILED = "ours shifted"
PICTURED = ("TRAKer", "dattri")  # they need the same tensors for every sample
PARTS = {  # functions of loading, tokenising and writing, and of the model
    "load image": (batching.images, "load"),
    "tokenise": ("vlm", "encode"),
    "collate": ("vlm", "collate"),
    "write": (store.ShardWriter, "write"),
    "forward, backward, project": (PerSampleGradients, "stream"),
}


def ours(subject: Subject, kind: str, dim: int, out: Path) -> torch.Tensor:
    """Write a shard as collect_gradients does and read it: float16 values, normalised."""
    path, n = out / f"{kind}.safetensors", len(subject.samples)
    arguments = Namespace(
        shard="1-of-1", keep_norms=[], max_pixels=50_000_000, left_out=None, on_refused="error"
    )
    samples = str(subject.folder / "samples.parquet")
    part = Part("pool", samples, str(subject.root), str(path))
    with PerSampleGradients(subject.vlm.model) as per_sample:
        phi = make_projection(kind, per_sample.size, dim)
        passes = functools.partial(project_gradients, per_sample=per_sample, projection=phi)
        source = vectors.Source(phi.dim, projection.fingerprint(phi), passes)
        vectors.write_shard(arguments, part, {}, source, subject.vlm, None)
    return torch.from_numpy(store.ShardedArray([path])[:n].astype("float32"))


@functools.cache
def make_projection(kind: str, size: int, dim: int) -> projection.Projection:
    """Build a projection once, as a job does."""
    settings = {"seed": 0, "nonzeros": 3, "implementation": "auto"}
    return projection.make(kind, size=size, dim=dim, device=torch.device("cpu"), **settings)


def require_exact(name: str, found: torch.Tensor, subject: Subject) -> float:
    """Check some rows against projections of exact gradients; return the largest error."""
    encoded = subject.encode()
    if name.startswith(PICTURED):
        encoded = [sample for sample in encoded if sample.image.any()][: released_programs.FEW]
    dim = found.shape[1]
    chosen = range(0, len(encoded), max(1, len(encoded) // CHECKED))
    gradients = torch.stack([exact(subject.vlm, encoded[i]) for i in chosen])
    if name.startswith("ours"):
        phi = make_projection(name.split()[1], gradients.shape[1], dim)
        expected = F.normalize(projection.project(phi, gradients), dim=1)
        limit = TOLERANCE["ours"]
    else:
        projector = released_programs.rademacher(gradients.shape[1], dim)
        expected, limit = projector.project(gradients, model_id=0), TOLERANCE["theirs"]
    error = worst_error(found[list(chosen)], expected)
    if not error < limit:
        raise ValueError(f"{name}: a projected gradient is off by {error:.2g} of its norm")
    return error


def contenders(subject: Subject, dim: int, out: Path) -> dict[str, Callable[[], torch.Tensor]]:
    """Return the functions to time."""
    theirs = released_programs
    runs = {
        "ours shifted": lambda: ours(subject, "shifted", dim, out),
        "ours sjlt": lambda: ours(subject, "sjlt", dim, out),
        "one by one (as LESS, ICONS)": lambda: theirs.one_by_one(subject, dim, out),
        "TRAKer, iterative": lambda: theirs.traker(subject, dim, out, False),
        "TRAKer, vmap": lambda: theirs.traker(subject, dim, out, True),
        "dattri": lambda: theirs.dattri(subject, dim, out),
    }
    return {name: run for name, run in runs.items() if (subject.name, name) not in LEFT_OUT}


def shares(subject: Subject, dim: int, out: Path) -> dict[str, float]:
    """Run ours once and return each part's share of its time."""
    seconds: dict[str, float] = defaultdict(float)
    originals = []
    for name, (owner, attribute) in PARTS.items():
        owner = subject.vlm if owner == "vlm" else owner
        originals.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, _clocked(getattr(owner, attribute), seconds, name))
    try:
        begin = time.process_time()
        ours(subject, "shifted", dim, out)
        whole = time.process_time() - begin
    finally:
        for owner, attribute, original in originals:
            setattr(owner, attribute, original)
    found = {name: seconds[name] / whole for name in PARTS}
    return found | {"rest": 1 - sum(found.values())}


def _clocked(run: Callable, seconds: dict[str, float], name: str) -> Callable:
    @functools.wraps(run)
    def timed(*args, **kwargs):
        begin = time.process_time()
        result = run(*args, **kwargs)
        seconds[name] += time.process_time() - begin
        return result

    return timed


def measure(subject: Subject, dim: int, rounds: int, out: Path) -> list[dict]:
    """Check all contenders, time those that run, profile ours, and return the table's rows."""
    runs, errors, reasons = contenders(subject, dim, out), {}, {}
    for name, run in runs.items():
        try:
            errors[name] = require_exact(name, run(), subject)
        except (RuntimeError, NotImplementedError, ImportError, TypeError) as error:
            reasons[name] = why_not(error)
    n = len(subject.samples)
    counts = dict.fromkeys(runs, n)
    counts |= {name: released_programs.FEW for name in runs if name.startswith(PICTURED)}
    fast = {name: runs[name] for name in list(runs)[:3] if name in errors}
    seconds = in_turns(fast, rounds, warm=True)
    slow = {name: runs[name] for name in list(runs)[3:] if name in errors}
    seconds |= in_turns(slow, 1, warm=True) if slow else {}
    profile = shares(subject, dim, out)
    base = sorted(seconds["ours shifted"])[rounds // 2] / n
    rows = []
    for name in runs:
        each = [value / counts[name] for value in seconds.get(name, [])]
        versus = math.nan
        if len(each) == rounds:
            versus = ratio(seconds[name], seconds["ours shifted"])
        elif each:
            versus = sorted(each)[len(each) // 2] / base
        rows.append({
            "model": subject.name, "contender": name, "samples": counts[name], "dim": dim,
            "ms_per_sample": 1e3 * sorted(each)[len(each) // 2] if each else math.nan,
            "times_ours": versus, "worst_error": errors.get(name, math.nan), "rounds": len(each),
            **{f"share: {k}": v if name == PROFILED else math.nan for k, v in profile.items()},
            "why_not": reasons.get(name, ""),
        })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> None:
    """Write end_to_end.csv."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("--dim", type=int, default=5120)
    arguments = parser.parse_args(argv)
    rows: list[dict] = []
    for subject in subjects(arguments, SIZES):
        lora_weights(subject.vlm.model)
        rows += measure(subject, arguments.dim, arguments.rounds, subject.folder.parent)
        write_table(arguments.out / "end_to_end.csv", rows)


if __name__ == "__main__":
    main()
