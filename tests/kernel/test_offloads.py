import pytest

from tests.own_namespace import TWO_PAIRS, run_in_namespace

pytestmark = pytest.mark.kernel

_FEATURES = """
import array, fcntl, struct
from labctl.kernel.offloads import set_offloads
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def features(interface):
    found = []
    for command in (0x16, 0x1E, 0x23):  # ETHTOOL_GTXCSUM, _GTSO, _GGSO
        value = array.array("I", [command, 0])
        request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])
        fcntl.ioctl(sock, 0x8946, request)
        found.append(value[1])
    return found
"""


def test_they_are_switched_off_and_on_again() -> None:
    code = """
print(features("ina"))
set_offloads(sock, "ina", on=False)
print(features("ina"), features("outa"))
set_offloads(sock, "ina", on=False)
print(features("ina"))
set_offloads(sock, "ina", on=True)
print(features("ina"))
"""
    assert run_in_namespace(TWO_PAIRS + _FEATURES + code).splitlines() == [
        "[1, 1, 1]",
        "[0, 0, 0] [1, 1, 1]",
        "[0, 0, 0]",
        "[1, 1, 1]",
    ]


def test_an_interface_that_is_not_there_is_an_error() -> None:
    code = """
try:
    set_offloads(sock, "nothing0", on=False)
except OSError as error:
    print(error.strerror)
"""
    assert run_in_namespace(TWO_PAIRS + _FEATURES + code) == "No such device\n"
