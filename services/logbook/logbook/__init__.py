"""The logbook service: logs, holders, goals, measures, meetings, entries and highlights of the people it is about."""
