"""Neural codecs: signal -> codes -> bitstream, and their training. Imports none of the other packages."""

import os

# Large tensors in pages of 2 MiB, of which torch thinks once, when it first allocates. A step of a stream reads 30 MiB
# of weights, and the processor then finds them in a tenth less time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
