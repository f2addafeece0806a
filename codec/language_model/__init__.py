"""Language model for codes and the entropy coders that use it (EnCodec paper, section 3.3)."""
