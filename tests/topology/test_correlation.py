import pytest

from labctl.topology.correlation import real_probability


@pytest.mark.parametrize(
    ("probability", "correlation", "real"),
    [
        # What netem did, in 10 000 packets and in 40 000.
        (0.2, 0.25, 0.1005),
        (0.2, 0.5, 0.0277),
        (0.8, 0.5, 0.9694),
        (0.1, 0.8, 0.0),
    ],
)
def test_the_real_rate_is_that_of_netem(
    probability: float, correlation: float, real: float
) -> None:
    assert real_probability(probability, correlation) == pytest.approx(real, abs=0.005)


def test_the_rate_is_exact_where_it_can_be_computed_by_hand() -> None:
    # Half of each number is fresh: the sum of uniform parts of 1/2, 1/4, …
    assert real_probability(0.25, 0.5) == pytest.approx(5 / 72, abs=1e-5)
    assert real_probability(0.5, 0.5) == pytest.approx(0.5, abs=1e-9)


def test_without_correlation_and_with_all_of_it_the_rate_is_as_asked() -> None:
    for correlation in (0.0, 1.0):
        assert real_probability(0.3, correlation) == 0.3
    for certain in (0.0, 1.0):
        assert real_probability(certain, 0.5) == certain


def test_the_two_ways_to_compute_agree_where_they_meet() -> None:
    assert real_probability(0.4, 0.9) == pytest.approx(real_probability(0.4, 0.9001), abs=0.005)


@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.85, 0.95, 0.999])
def test_yes_and_no_are_treated_alike(correlation: float) -> None:
    together = real_probability(0.3, correlation) + real_probability(0.7, correlation)
    assert together == pytest.approx(1, abs=1e-6)
