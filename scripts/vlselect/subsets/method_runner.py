"""Run a method: on the whole pool, or on part of it, with its answers checked."""

import inspect
from types import ModuleType

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.selection import Selection
from vlselect.subsets.signals import Signal, restrict


class MethodRunner:
    """A method with everything that it chooses by; its answers are checked.

    Parameters
    ----------
    method : module
        Of vlselect.methods. If it has a ``prepare(pool, signals, **parameters)``, that adds to
        the signals what has to be known of the whole pool before a part of it is looked at.
    pool : DataFrame
        One row per sample, in row order.
    signals : dict
    seed : int
    parameters : dict
        Of the method.
    threads : int
        Of matrix products.
    """

    def __init__(
        self,
        method: ModuleType,
        pool: pd.DataFrame,
        signals: dict[str, Signal],
        seed: int,
        parameters: dict,
        threads: int = 1,
    ):
        self.name = method.__name__.rpartition(".")[2]
        self._method, self._pool, self._signals = method, pool, signals
        self._seed, self._parameters, self._threads = seed, parameters, threads
        self._prepared = not hasattr(method, "prepare")

    def __call__(self, rows: np.ndarray, count: int) -> Selection:
        """Let the method choose `count` of these rows of the pool.

        Parameters
        ----------
        rows : int64 array, shape (n,)
            Ascending. Where they are not the whole pool, the method sees nothing of the others.
        count : int
            At most n.

        Returns
        -------
        Selection
            Rows of the pool, the best first.

        Raises
        ------
        TypeError, ValueError
            If the method cannot choose, or breaks its contract; the message names it.
        InfeasibleError
            If it has too few samples to choose from.
        """
        whole = len(rows) == len(self._pool)
        pool, signals = self._pool, self._signals
        if not whole:
            pool, signals = restrict(pool, self._prepare(), rows)
        try:
            with threadpool_limits(self._threads):
                found = self._method.select(pool, signals, count, self._seed, **self._parameters)
            if not isinstance(found, Selection):
                raise TypeError(f"method {self.name!r} gave a {type(found).__name__}, no Selection")
            found.check(count, len(pool))
        except ValueError as error:
            part = "" if whole else f", asked for {count} of {len(rows)} samples"
            kinds = (InfeasibleError, InputError, ValueError)
            kind = next(kind for kind in kinds if isinstance(error, kind))
            raise kind(f"method {self.name!r}{part}: {error}") from error
        return found if whole else Selection(rows[found.rows], found.scores)

    def _prepare(self) -> dict[str, Signal]:
        if not self._prepared:
            known = inspect.signature(self._method.prepare).parameters
            own = {key: value for key, value in self._parameters.items() if key in known}
            self._signals = self._method.prepare(self._pool, self._signals, **own)
            self._prepared = True
        return self._signals
