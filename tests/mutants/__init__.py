"""Every small mistake in the rules that decide must be noticed by their own tests."""
