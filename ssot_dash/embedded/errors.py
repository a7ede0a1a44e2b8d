"""What the person at the terminal has to know or mend."""


class CannotStart(Exception):
    """Something can't be started; the message says what and what to do, and is all that is printed."""
