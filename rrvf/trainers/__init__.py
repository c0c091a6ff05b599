"""Interfaces to other trainers, each in its own file or folder."""
