"""Systems given as folders of decoded audio: their files, which recording each belongs to, and reading them."""
