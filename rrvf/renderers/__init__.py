"""Renderers: code in, picture and recorded elements out, with the code confined."""
