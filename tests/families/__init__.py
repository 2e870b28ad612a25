"""Random families under random law tables: what consent answers, against an independent reading of the table."""
