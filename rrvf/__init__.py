"""Score and train models that turn images of charts and web pages back into code."""

__version__ = "0.1.0"
