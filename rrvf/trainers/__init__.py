"""Interfaces to other people's trainers, each in a file or folder of its own."""
