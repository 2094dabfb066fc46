"""Functions that rules are written with: flags, inputs and lists of targets, by topic.

No rules here: these are included before any rule, in this order. Last, the image of every job.
"""


include: "budgets.smk"
include: "common.smk"
include: "seeds.smk"
include: "building.smk"
include: "mixture.smk"
include: "flags.smk"
include: "lmms.smk"
include: "reporting.smk"
include: "charging.smk"
include: "captions.smk"
include: "exporting.smk"
include: "training.smk"


container: config["container"]
