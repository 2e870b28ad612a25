"""The gateway's HTTP doors."""
