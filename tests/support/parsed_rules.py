"""Rule files as Snakemake has parsed them, kept for the other runs of the same files.

Parsing them is a third of the time of a small dry run, and the tests start a hundred runs.
"""

import hashlib
import json
import os
from pathlib import Path

from snakemake import parser


class ParsedRules:
    """Takes the place of `snakemake.workflow.parse`; keeps what it makes in memory and in files.

    Parameters
    ----------
    folder : Path
        Where other processes find it too, by the content of a rule file.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.known: dict[str, tuple[str, int, list, str]] = {}

    def __call__(self, path, workflow, linemap, overwrite_shellcmd=None, rulecount=0):
        """Return the code of a rule file and the number of rules, and fill in its lines."""
        place = path.get_path_or_uri(secret_free=True)
        name = f"{hashlib.sha256(Path(place).read_bytes()).hexdigest()}-{rulecount}"
        if name not in self.known:
            self.known[name] = self._read(name) or self._parse(name, path, workflow, rulecount)
        code, count, lines, there = self.known[name]
        linemap.update(lines)
        parser.Shell.overwrite_cmd = overwrite_shellcmd
        return code.replace(repr(there), repr(place)), count

    def _read(self, name):
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def _parse(self, name, path, workflow, rulecount):
        lines: dict[int, int] = {}
        code, count = parser.parse(path, workflow, lines, rulecount=rulecount)
        parsed = code, count, [*lines.items()], path.get_path_or_uri(secret_free=True)
        temporary = self.folder / f"{name}.{os.getpid()}"
        temporary.write_text(json.dumps(parsed))
        temporary.replace(self.folder / f"{name}.json")
        return parsed
