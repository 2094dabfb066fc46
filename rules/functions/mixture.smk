"""Where records and images lie: flags and inputs of the pool and the tasks.

Functions only: rules and functions live in files of their own.
"""

from vlselect.config import data_files


def image_locations():
    """Values of --images for the pool: its location, or <part>=<location> of each part."""
    return data_files.flag_values(config["pool"], "images")


def record_locations():
    """Values of --records for the pool."""
    return data_files.flag_values(config["pool"], "records")


def intake_options():
    """Flags of prepare_pool on how records are read and which are refused."""
    keys = data_files.flag_values(config["pool"], "source_key")
    flags = ["--max-pixels", str(config["pool"]["max_pixels"])]
    flags += ["--source-key", *keys] if keys else []
    forbidden = config["pool"]["forbidden"]
    flags += ["--forbidden", *forbidden] if forbidden else []
    flags += ["--repeated-ids", config["pool"]["repeated_ids"]]
    return shlex.join(flags)


def pool_record_files():
    """Every file of the pool's records: a change of any makes the pool anew."""
    return [] if "pool" in config["given"] else data_files.pool_files(config["pool"])


def validation_files(wildcards):
    """Files of a task's validation records; none where it has none."""
    return data_files.task_files(config["tasks"][wildcards.task], "validation")


def test_files(wildcards):
    """Files of a task's test records; none where it has none."""
    return data_files.task_files(config["tasks"][wildcards.task], "test")


def task_image_flag(wildcards):
    """Value of --images of prepare_task; none where each split's table has its own."""
    task = config["tasks"][wildcards.task]
    splits = [split for split in data_files.SPLITS if split in task]
    locations = {
        data_files.task_images(config, wildcards.task, split) for split in splits
    }
    return locations.pop() if len(locations) == 1 else []
