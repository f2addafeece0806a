"""Neural codecs: signal -> codes -> bitstream, and their training. Imports none of the other packages."""
