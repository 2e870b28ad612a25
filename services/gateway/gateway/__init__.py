"""The gateway: the only door to the outside, for people, apps, machines and agencies."""
