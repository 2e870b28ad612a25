"""The logbook service: logs, holders, goals, measures, entries and highlights of the people it is about."""
