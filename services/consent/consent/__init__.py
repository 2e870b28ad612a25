"""People, requests, grants, the law table and the access ledger."""
