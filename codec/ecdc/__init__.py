"""The .ecdc file: the codes of one signal, in the public reference's format or in Earmark's, which detects damage."""

from earmark.codec.ecdc.compress import compress, decompress
from earmark.codec.ecdc.file import Contents, Format, Header, PartReader, inspect, open_reader, open_writer, read, write

__all__ = [
    "Contents", "Format", "Header", "PartReader", "compress", "decompress", "inspect", "open_reader", "open_writer",
    "read", "write",
]  # fmt: skip
