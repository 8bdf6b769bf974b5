"""What a fit prints while it runs: one line every so many checks, never from a kernel."""


def printer(every):
    """Function of a history that prints a line at each `every`-th check and never asks to stop."""

    def show(history):
        if len(history) % every == 0:
            print(
                f"turn {history['turn'][-1]:5d}  passes {history['passes'][-1]:8.1f}  "
                f"objective {history['objective'][-1]:.8g}  bound {history['bound'][-1]:.2e}  "
                f"seconds {history['seconds'][-1]:.2f}",
                flush=True,
            )
        return False

    return show
