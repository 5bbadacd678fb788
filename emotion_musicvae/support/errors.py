"""What a caller did wrong, told in one line."""


class UserError(ValueError):
  """A mistake of the caller's, told in one line without a traceback.

  Its parts are plain words about Python arguments. Where they name another
  argument it stands in backticks, as in 'leave `run_dir` out', so that a
  command can name its flags instead; see `cli.command`.

  Attributes:
    argument: name of the argument or setting, or of the file, that is wrong; ''
      where there is none to name.
    problem: what is wrong with it.
    remedy: what would do; '' where the problem says it.
  """

  def __init__(self, argument: str, problem: str, remedy: str = '') -> None:
    super().__init__(argument, problem, remedy)
    self.argument = argument
    self.problem = problem
    self.remedy = remedy

  def __str__(self) -> str:
    told = f'{self.argument}: {self.problem}' if self.argument else self.problem
    return f'{told}; {self.remedy}' if self.remedy else told

  def of(self, argument: str, subject: str = '') -> 'UserError':
    """The same mistake, seen by a caller who knows which argument it is in.

    Args:
      argument: in place of its own.
      subject: what in the argument it is about, such as a file in a folder.
    """
    problem = f'{subject}: {self.problem}' if subject else self.problem
    return UserError(argument, problem, self.remedy)
