"""Run a selection method on the whole pool or on part of it.

A method is a module of `vlselect.methods` with the function
``select(pool, signals, budget, seed, **parameters)``, which returns a `Selection`:

pool : DataFrame
    Columns row, sample_id, source, n_images; one row per sample, in row order.
signals : dict of name to DataFrame, ShardedArray or dict of DataFrame
    What the method's rule computed before.
budget : int
    Exact number of samples to choose.
seed : int
    For methods that draw.

Rows come best first, and ties go by sample id, so that the choice does not depend on the order of
the pool. The method raises InputError if a signal is missing, does not fit the pool or is not
finite, or a parameter is out of its range. Two more functions are optional:

``score(pool, signals, seed, **parameters)`` returns a float32 array (N,) in row order, NaN for
samples without a score; `select` gets it as the signal ``scores``: DataFrame row, score.

``prepare(pool, signals, **parameters)`` returns the signals and what depends on the whole pool; it
runs before `select` sees a part of the pool.
"""

import inspect
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController

from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.refused import accepted
from vlselect.core.selection import Selection
from vlselect.subsets.signals import Signal, restrict


class MethodRunner:
    """A method with its inputs; checks what it chooses.

    `method` is a module as above; `pool`, `signals`, `seed` and `parameters` are its arguments,
    `threads` those of matrix products. Rows that a model `refused` do not exist for the method.

    Attributes
    ----------
    rows : int64 array
        The pool's other rows, ascending.
    """

    def __init__(
        self,
        method: ModuleType,
        pool: pd.DataFrame,
        signals: dict[str, Signal],
        seed: int,
        parameters: dict,
        threads: int = 1,
        refused: Sequence[int] = (),
    ):
        self.name = method.__name__.rpartition(".")[2]
        self.rows = accepted(len(pool), refused)
        if len(refused):
            pool, signals = restrict(pool, signals, self.rows)
        self._method, self._pool, self._signals = method, pool, signals
        self._seed, self._parameters, self._threads = seed, parameters, threads
        self._libraries = ThreadpoolController()  # finding them takes milliseconds each time
        self._prepared = not hasattr(method, "prepare")

    def __call__(self, rows: np.ndarray, count: int) -> Selection:
        """Choose `count` of these rows of the pool by the method.

        Parameters
        ----------
        rows : int64 array, shape (n,)
            Ascending, without refused ones. The method sees only these.
        count : int
            At most n.

        Returns
        -------
        Selection
            Rows of the pool, the best first.

        Raises
        ------
        TypeError, ValueError
            If the method cannot choose, or breaks its contract; names the method.
        InfeasibleError
            If it has too few samples to choose from.
        """
        whole = len(rows) == len(self._pool)
        pool, signals = self._pool, self._signals
        try:
            with self._libraries.limit(limits=self._threads):
                if not whole:
                    places = np.searchsorted(self.rows, rows)
                    pool, signals = restrict(pool, self._prepare(), places)
                found = self._method.select(pool, signals, count, self._seed, **self._parameters)
            if not isinstance(found, Selection):
                raise TypeError(
                    f"method {self.name!r} returned a {type(found).__name__}, not a Selection"
                )
            found.check(count, len(pool))
        except ValueError as error:
            part = "" if whole else f", asked for {count} of {len(rows)} samples"
            kinds = (InfeasibleError, InputError, ValueError)
            kind = next(kind for kind in kinds if isinstance(error, kind))
            raise kind(f"method {self.name!r}{part}: {error}") from error
        return Selection(rows[found.rows], found.scores)

    def _prepare(self) -> dict[str, Signal]:
        if not self._prepared:
            known = inspect.signature(self._method.prepare).parameters
            own = {key: value for key, value in self._parameters.items() if key in known}
            self._signals = self._method.prepare(self._pool, self._signals, **own)
            self._prepared = True
        return self._signals
