"""The pool's features in the order of sample ids, for methods that compare samples.

With ties or draws, k-means and nearest neighbours depend on the order of their rows. Ordered by id,
the chosen samples are the same for every order of the pool.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vlselect.clusters.kernel import squared_norms
from vlselect.core.errors import InputError
from vlselect.core.ordering import id_ranks
from vlselect.core.store import ShardedArray


class Embeddings:
    """Read stored features by place: the rank of the sample's id among all ids.

    Parameters
    ----------
    array : ShardedArray (N, d)
        Features in pool order; only requested rows are read.
    sample_ids : sequence of str, length N
        Distinct.
    normalise : bool
        Whether to scale rows to unit length.

    Attributes
    ----------
    rows : int64 array, shape (N,)
        The pool's row at each place.
    places : int64 array, shape (N,)
        The place of each of the pool's rows.

    Raises
    ------
    ValueError
        If there is not one id for each row, or an id is repeated.
    """

    def __init__(self, array: ShardedArray, sample_ids: Sequence[str], normalise: bool):
        if len(array) != len(sample_ids):
            raise InputError(f"features of {len(array)} samples for a pool of {len(sample_ids)}")
        self._array, self._normalise = array, normalise
        self.shape = array.shape
        self.places = id_ranks(sample_ids)
        self.rows = np.argsort(self.places)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Return rows as float32, in the requested order.

        ValueError names the pool's row that is not finite, or is all zero and has to be scaled.
        """
        rows = self.rows[places]
        values = self._array[rows].astype(np.float32)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise InputError(f"the features of row {rows[np.argmin(finite)]} are not finite")
        if self._normalise:
            norms = np.sqrt(squared_norms(values))
            if not norms.all():
                raise InputError(f"the features of row {rows[np.argmin(norms)]} are all zero")
            values /= norms[:, None].astype(np.float32)
        return values

    def blocks(self, rows: int = 4096) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first place and the float32 rows of each block."""
        for start in range(0, len(self), rows):
            yield start, self[np.arange(start, min(start + rows, len(self)))]
