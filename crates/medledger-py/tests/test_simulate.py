"""Simulations of mining."""

import pytest

import medledger


def test_a_run_is_reproducible_plain_and_adds_up():
    arguments = {"blocks": 400, "latency": 60.0, "attackers": [0.3], "trials": 20}
    miners = [0.5, {"share": 0.3, "latency": 120.0, "name": "Basel"}, {"share": 0.2}]
    run = medledger.simulate(miners, **arguments)
    assert run == medledger.simulate(miners, **arguments)
    assert run != medledger.simulate(miners, seed=2, **arguments)
    assert [miner["name"] for miner in run["miners"]] == ["miner 1", "Basel", "miner 3"]
    chain = run["chain"]
    assert [block["height"] for block in chain] == list(range(1, run["blocks"] + 1))
    assert sum(block["stale"] for block in chain) == run["stale"] > 0
    basel = sum(block["miner"] == "Basel" for block in chain)
    assert basel == run["miners"][1]["blocks"]
    mean = sum(block["interval"] for block in chain) / len(chain)
    assert mean == pytest.approx(run["spacing"]["mean"])
    (attack,) = run["attacks"]
    assert attack["share"] == 0.3 and attack["successes_with_finality"] == 0
    assert attack["success"] == attack["successes"] / 20


def test_schedules_follow_the_hash_rate():
    def run(schedule, **more):
        return medledger.simulate(
            [1.0], blocks=1000, schedule=schedule, hash_rate_changes=[(300, 4.0)], **more
        )["sections"][-1]

    assert run("fixed")["spacing"] < 250
    for end in (run("asert", half_life=18_000), run("bitcoin", window=50)):
        assert end["spacing"] == pytest.approx(600, rel=0.4)
        assert end["difficulty"] == pytest.approx(4, rel=0.3)


def test_what_cannot_be_simulated_is_refused():
    for wrong in (
        {"blocks": 0},
        {"miners": []},
        {"miners": [-1.0]},
        {"latency": -1.0},
        {"schedule": "weekly"},
        {"bits": "zz"},
        {"schedule": "bitcoin", "window": 1},
        {"attackers": [2.0]},
        {"hash_rate_changes": [(5, 1.0), (4, 1.0)]},
    ):
        with pytest.raises(medledger.InvalidArgumentError):
            medledger.simulate(**wrong)
    with pytest.raises(TypeError):
        medledger.simulate([{"speed": 1}])
