"""Tells people, without saying what, that there is something to see: contact points, notices, e-mails."""
