from labctl.kernel import seccomp
from labctl.programs.forbidden import EVERYWHERE, INSIDE


def test_the_library_knows_every_call_by_its_name() -> None:
    library = seccomp._library()
    unknown = [
        refusal.call
        for refusal in (*EVERYWHERE, *INSIDE)
        if library.seccomp_syscall_resolve_name(refusal.call.encode()) == -1
    ]

    assert unknown == []


def test_nothing_is_refused_twice() -> None:
    refusals = (*EVERYWHERE, *INSIDE)

    assert len(set(refusals)) == len(refusals)


def test_what_makes_the_sandbox_is_only_forbidden_inside() -> None:
    outside = {refusal.call for refusal in EVERYWHERE}

    assert outside & {"mount", "umount2", "pivot_root", "unshare", "clone", "chroot"} == set()
