import numpy as np

from qkformer.data.seeds import seed_of


def test_seeds_are_the_same_for_ever():
    assert seed_of("order", 0, 12) == 7311211174249897481
    assert seed_of("order", np.int64(0), 12) == seed_of("order", 0, 12)


def test_seeds_of_different_places_differ():
    places = [(), (0,), (1,), (0, 1), (1, 0), (1, 0, 1), (11,), (1, 1), (2**32,), (-1,)]
    seeds = {seed_of(purpose, *place) for purpose in ("order", "crop") for place in places}
    assert len(seeds) == 2 * len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
