"""What is in a picture: model packs, sandboxed workers, decoding, the concept graph."""
