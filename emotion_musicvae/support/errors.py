"""What a caller did wrong, told in one line."""


class UserError(ValueError):
  """A mistake of the caller's, told in one line without a traceback."""
