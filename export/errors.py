"""What export refuses."""


class ExportError(ValueError):
    """A model that cannot be quantized or lowered; the message names the module and what is wrong with it."""
