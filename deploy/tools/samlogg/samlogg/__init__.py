"""What an operator asks of a running system: a trace, why something waits, and dead letters."""
