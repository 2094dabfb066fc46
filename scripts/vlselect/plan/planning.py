"""What stages take: exact sizes of what they write, and the work of those that run no model.

Pure functions of shapes; the work is divided by rates that a calibration measures (`Rates`). Each
names the code that it describes: who changes one changes the other.
"""

from dataclasses import dataclass

HALF = 2  # bytes of a float16
ITERATIONS_OF_LISTS = 10  # of faiss's k-means for inverted lists, its default
SUBSPACE_SHARE = 0.5  # of the width: directions that hold 90 % of the energy, at a guess
EIGENVALUES = 10  # d^3 operations of a symmetric eigendecomposition with vectors


@dataclass(frozen=True)
class Work:
    """What a job without a model has to do; parts are done one after another.

    Attributes
    ----------
    single, double : float
        Floating-point operations of matrix products in float32 and float64.
    read : float
        Bytes from the disk.
    cast : float
        Values brought from float16 to float32 or float64 and checked.
    sort : float
        Values put in order.
    records : float
        Records read as JSON text and written again.
    """

    single: float = 0
    double: float = 0
    read: float = 0
    cast: float = 0
    sort: float = 0
    records: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(self.parts(), other.parts(), strict=True)))

    def parts(self) -> tuple[float, ...]:
        """Give the amounts in the order of the attributes."""
        return (self.single, self.double, self.read, self.cast, self.sort, self.records)


@dataclass(frozen=True)
class Rates:
    """How much of each kind of `Work` the machine does in a second; `start`: seconds of a job."""

    single: float
    double: float
    read: float
    cast: float
    sort: float
    records: float
    start: float

    def seconds(self, work: Work) -> float:
        """Seconds of a job: its start, then its parts."""
        rates = (self.single, self.double, self.read, self.cast, self.sort, self.records)
        return self.start + sum(part / rate for part, rate in zip(work.parts(), rates, strict=True))


def shard_bytes(rows: int, columns: int, itemsize: int, shards: int = 1, header: int = 0) -> int:
    """Bytes of an array in shards (`store.ShardWriter`): values, and a header of each file."""
    return rows * columns * itemsize + shards * header


def stream(rows: int, columns: int, passes: int = 1) -> Work:
    """Read float16 rows from their shards (`store.ShardedArray.blocks`) and cast them."""
    values = passes * rows * columns
    return Work(read=HALF * values, cast=values)


def influence(rows: int, dim: int, tasks: int, validation: int, matrix: bool = False) -> Work:
    """Mean products with each task's gradients (`influence.compute`), in one pass over the pool."""
    targets = tasks + (validation if matrix else 0)
    return stream(rows + validation, dim) + Work(single=2.0 * rows * dim * targets)


def votes(rows: int, tasks: int) -> Work:
    """A percentile and a rank of every sample on every task (`voting.cast_votes`, `mean_rank`)."""
    return Work(sort=2.0 * rows * tasks)


def training_rows(rows: int, width: int, clusters: int, per_centroid: int, memory_gb: float) -> int:
    """Rows that k-means is trained on: how many `clusters.training_rows` gives."""
    return min(rows, clusters * per_centroid, int(memory_gb * 1e9 / (HALF * width)))


def kmeans(rows: int, width: int, clusters: int, iterations: int, trained: int) -> Work:
    """Training on some rows (`clusters.train`), then assignment of all (`clusters.assign`)."""
    products = 2.0 * width * clusters * (trained * iterations + rows)
    return stream(rows + trained, width) + Work(single=products)


def cluster_summary(rows: int, width: int, clusters: int) -> Work:
    """Density of every cluster and transferability of every pair (`summarise_clusters.py`).

    Clusters are taken as equal in size: uneven ones cost more, by 1 + their squared variation.
    """
    pairs = rows**2 / clusters + clusters**2 / 2  # transferability looks at half of the width
    return stream(rows, width) + Work(double=2.0 * width * pairs)


def coincide(rows: int, width: int, clusters: int, budget: int) -> Work:
    """Kernels of all clusters, and a row of one for every pick (`mmd.greedy`)."""
    size = rows / clusters
    kernels = Work(double=2.0 * width * rows * size, cast=2.0 * budget * size)
    return stream(rows, width) + kernels


def leverage(rows: int, width: int) -> Work:
    """Mean, scatter matrix, its eigenvectors, scores (`subspace.leverage`)."""
    scatter = 2.0 * rows * width**2
    return stream(rows, width, passes=3) + Work(
        double=scatter * (1 + SUBSPACE_SHARE) + EIGENVALUES * float(width) ** 3
    )


def similar_pairs(rows: int, width: int, clusters: int) -> Work:
    """Cosines with all earlier samples of the cluster (`deduplication.tolerance`)."""
    return stream(rows, width) + Work(double=2.0 * width * rows * rows / clusters)


def neighbours(rows: int, width: int, exact: bool, lists: int, probe: int, trained: int) -> Work:
    """Nearest neighbours by all pairs, or in some of the inverted lists (`neighbours.nearest`)."""
    if exact:
        return stream(rows, width, passes=2) + Work(single=2.0 * width * float(rows) ** 2)
    training = 2.0 * width * lists * (trained * ITERATIONS_OF_LISTS + 2 * rows)
    visited = float(rows) * rows * min(1.0, probe / lists)
    # a list's rows are float16 and are decoded for every query that looks into them
    return stream(rows, width, passes=2) + Work(single=training, cast=width * visited)


def hardest(rows: int, width: int, budget: int, queries: int = 1024) -> Work:
    """Searches for the neighbours of samples taken, over all that remain (`self_filter`).

    Each search serves up to `queries` samples that follow; twice as many searches as that needs.
    """
    searched = min(float(budget), rows) + 2.0 * queries
    return stream(rows, width) + Work(single=2 * 2.0 * width * rows * searched, sort=2.0 * rows)


def subset(rows: int, budget: int) -> Work:
    """Order the pool and write the chosen records (`select_subset.py`)."""
    return Work(sort=2.0 * rows, records=budget)
