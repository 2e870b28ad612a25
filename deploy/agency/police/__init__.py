"""An example of an agency's own service that listens to Samlogg; nothing here comes from Samlogg's own code."""
