"""The gateway's rules, without I/O and without clocks."""
