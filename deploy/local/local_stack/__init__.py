"""Samlogg on one machine: every part from a package, as an ordinary process, in one ignored folder."""
