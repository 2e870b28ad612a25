"""The main story: real people, real agencies, through the public doors only."""
