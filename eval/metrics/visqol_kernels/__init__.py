"""ViSQOL's two costly steps compiled for vector units, with the library's scores to the last bit."""
