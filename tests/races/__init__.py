"""Real processes under load and faults, judged by what clients saw and by what the stores hold at the end."""
