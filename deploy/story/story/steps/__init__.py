"""The nine steps, one module each: what is done, and every outcome that is checked, wanted and unwanted."""
