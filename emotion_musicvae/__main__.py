"""Runs a command of `cli`, as installed scripts do under its own name."""

from emotion_musicvae.cli import main

if __name__ == '__main__':
  main.console_entry_point()
