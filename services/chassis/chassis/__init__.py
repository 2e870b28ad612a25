"""What the five services share: small objects and functions that are passed in, without domain words."""
