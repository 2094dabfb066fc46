"""Task files for tests, made from the records of the tiny pool."""

import json

from vlselect.pool.records import parse_task_record
from vlselect.pool.samples import TASK_SCHEMA, Samples, SamplesWriter


def write_task(pool, path, rows, choices=()):
    """Write some rows of a pool folder as a task; the last response is the answer.

    With choices, the answers are these in turn.
    """
    with SamplesWriter(path, TASK_SCHEMA) as writer:
        for i, raw in enumerate(Samples(pool / "samples.parquet").raw(rows)):
            value = json.loads(raw)
            if choices:
                value |= {"choices": list(choices), "answer": choices[i % len(choices)]}
            else:
                value["answer"] = value["conversations"][-1]["value"]
            raw = json.dumps(value)
            writer.write(parse_task_record(raw), raw)
