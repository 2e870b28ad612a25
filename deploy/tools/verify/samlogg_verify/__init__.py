"""Checks what a ledger of looks shows, by its published formats alone: no part of the ledger's own program is used."""
