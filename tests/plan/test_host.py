"""HostAbilities: a machine as data."""

from labctl.plan.host import HostAbilities


def test_a_machine_is_taken_to_be_able_unless_it_says_otherwise() -> None:
    # `labctl explain` runs anywhere, and explains what an ordinary machine would do.
    assert HostAbilities() == HostAbilities(ipv6=True)
