"""Why the gate stops without a verdict."""


class CannotMeasure(Exception):
    """Exit code 2; the message says why and, where there is a remedy, which."""
