"""The one error of this package: the question cannot be asked as it is written."""

from afterword_schemas.errors import SetupError


class QuestionError(SetupError):
    """A question names or compares something that cannot be; `next_step` says what to write."""
