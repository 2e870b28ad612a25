"""A witness (C2SP tlog-witness): signs a ledger's checkpoint only after seeing that nothing before it was rewritten."""
