"""Evaluation of a training at intervals, and its end when it no longer improves."""

from __future__ import annotations

from collections.abc import Callable


class EarlyStopping:
    """Evaluates a training at intervals, saves it when it has improved, and ends it when it no longer improves.

    Args:
        steps: The number of steps; the last is always evaluated.
        evaluate_every: Steps from one evaluation to the next.
        patience: Evaluations without a better score after which the training ends.
        evaluate: Returns the score of the held-out pairs, the higher the better; None if there are no such pairs: then
            each evaluation counts as the best, and the training does not end early.
        save: Saves the training as it is, as the best so far.
    """

    def __init__(
        self,
        *,
        steps: int,
        evaluate_every: int,
        patience: int,
        evaluate: Callable[[], float] | None,
        save: Callable[[], None],
    ) -> None:
        self.best = -1.0
        self.best_step = 0
        self._steps, self._evaluate_every, self._patience = steps, evaluate_every, patience
        self._evaluate, self._save = evaluate, save

    def after_step(self, number: int) -> float | None:
        """Evaluate if it is due after step `number`, and save if that is the best; return the score, if any."""
        if number % self._evaluate_every != 0 and number != self._steps:
            return None
        score = None if self._evaluate is None else self._evaluate()
        if score is None or score > self.best:
            self.best, self.best_step = (self.best if score is None else score), number
            self._save()
        return score

    def should_stop(self, number: int) -> bool:
        """Return whether the training should end after step `number`."""
        return self._evaluate is not None and number - self.best_step >= self._patience * self._evaluate_every
