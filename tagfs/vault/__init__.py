"""The sealed vault: keys, slots, objects, packs, journal segments, operations, merging."""
