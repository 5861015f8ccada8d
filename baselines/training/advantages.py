"""Advantages: returns of a task's group -> what each row's log-probability is multiplied with.

Pure functions of arrays. A row is one answer (an action, or a reflection); a group is all rows of
all trials on the same task. No division by the deviation, as in the published settings.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def centred(values: Sequence[float], keys: Sequence[Hashable]) -> Floats:
    """Each value minus the mean of all values with the same key; 0 for a key that occurs once.

    Shapes: (R,), (R,) -> (R,).

    >>> centred([1.0, 3.0, 7.0], ["a", "a", "b"]).tolist()
    [-1.0, 1.0, 0.0]
    """
    array = np.asarray(values, dtype=np.float64)
    numbers = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    groups = np.array([numbers[key] for key in keys], dtype=np.int64)
    if not len(groups):
        return array
    sizes = np.bincount(groups)
    means = np.bincount(groups, weights=array) / sizes
    return np.where(sizes[groups] > 1, array - means[groups], 0.0)


def gigpo(
    episode_rewards: Sequence[float],
    returns: Sequence[float],
    groups: Sequence[Hashable],
    states: Sequence[Hashable],
    step_weight: float = 1.0,
) -> Floats:
    """Group-in-group advantages (GiGPO, arXiv 2505.10978): episode part + ``step_weight`` * step
    part.

    Shapes: all (R,). ``episode_rewards``: undiscounted reward of the row's own episode. ``groups``:
    what episodes are compared with each other. ``returns``: the row's (cross-episode) return.
    ``states``: the anchor state; rows of equal group and state are compared with each other,
    wherever in the trial they stand.

    >>> gigpo([1.0, 0.0], [1.0, 0.0], ["task", "task"], ["board", "board"]).tolist()
    [1.0, -1.0]
    """
    return centred(episode_rewards, groups) + step_weight * centred(returns, states)
