"""Renderers: from code to a picture and recorded elements, with the code confined."""
