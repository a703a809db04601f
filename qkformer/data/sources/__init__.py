"""Kinds of sources of images, one a file: to add one, add its file with a subclass of `Source`."""
