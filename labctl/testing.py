"""What a check imports: the vocabulary in which it says what a program has to do.

The fixtures ``lab``, ``submission``, ``seed`` and ``rng`` come from labctl's pytest plugin.
"""

from labctl.errors import machine_error as machine_error
from labctl.grading.endpoints import WITHIN_S as WITHIN_S
from labctl.grading.endpoints import Address as Address
from labctl.grading.endpoints import Listener as Listener
from labctl.grading.endpoints import Tcp as Tcp
from labctl.grading.endpoints import Udp as Udp
from labctl.grading.lab import Lab as Lab
from labctl.grading.lab import Node as Node
from labctl.grading.program import Ended as Ended
from labctl.grading.program import Program as Program
from labctl.grading.submission import Submission as Submission
from labctl.grading.unmet import Unmet as Unmet
from labctl.grading.unmet import expect as expect
from labctl.grading.unmet import expect_equal as expect_equal
from labctl.grading.unmet import unmet as unmet
from labctl.kernel.diag import SocketEntry as SocketEntry
from labctl.observe.sighting import Sighting as Sighting
from labctl.wait import until as until
