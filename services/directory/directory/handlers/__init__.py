"""Use cases of the directory: one async function each, inside the caller's transaction; none of them commits."""
