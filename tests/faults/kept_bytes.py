"""What two runs of one config have in common, every byte but times, and what may not be left."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path

TIMED = re.compile(
    r"(costs|logs)/.*|tables/cost\.csv|figures/cost\.(png|svg)|provenance\.json|answer\.html"
)
UNFINISHED = re.compile(r"\.tmp$|\.old$|\.partial$|\.[0-9a-f]{32}\b")


def kept(run: Path, name: str = "*") -> dict[str, str]:
    """Return a digest of each file of the results of this name, and "" of files that hold times.

    Logs and costs are left out, of training logs the seconds, and of shards the digest of
    the code and the name of the run.
    """
    results, found = next((run / "results").glob(name), run), {}
    for path in sorted(path for path in results.rglob("*") if path.is_file()):
        name = str(path.relative_to(results))
        if name.startswith(("costs/", "logs/")) or path.name == ".snakemake_timestamp":
            continue
        content = path.read_bytes()
        if path.name.startswith("training_log"):
            rows = csv.DictReader(io.StringIO(content.decode()))
            content = repr([{k: v for k, v in row.items() if k != "seconds"} for row in rows])
            content = content.encode()
        if path.suffix == ".safetensors":
            content = without_origin(content)
        found[name] = "" if TIMED.fullmatch(name) else hashlib.sha256(content).hexdigest()
    return found


def without_origin(content: bytes) -> bytes:
    """Return a safetensors file's bytes without what its header says of the code and the run.

    With `--cache` the run is that of no config.
    """
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
    except ValueError:
        return content  # a broken one
    for key in ("code", "run"):
        header.get("__metadata__", {}).pop(key, None)
    return json.dumps(header, sort_keys=True).encode() + content[8 + size :]


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return in words how the files of a run differ from what is expected."""
    return [
        *(f"{name} is missing" for name in expected.keys() - found.keys()),
        *(f"{name} is left over" for name in found.keys() - expected.keys()),
        *(
            f"{name} differs"
            for name in sorted(expected.keys() & found.keys())
            if expected[name] != found[name]
        ),
    ]


def left_over(run: Path) -> list[str]:
    """Return in words what is unfinished in a run's folder: temporary files, locks, marks."""
    temporary = [path for path in (run / "results").rglob("*") if UNFINISHED.search(path.name)]
    marks = [*(run / ".snakemake/locks").glob("*"), *(run / ".snakemake/incomplete").glob("*")]
    return [f"{path.relative_to(run)} is left" for path in [*temporary, *marks]]
