"""What an update is: rules, learning rates and the order of the rows."""

from fastgd.rules.adaptive import Adagrad, Adam, Rmsprop
from fastgd.rules.base import Rule
from fastgd.rules.classic import Gd, Momentum, Nesterov

__all__ = ["Adagrad", "Adam", "Gd", "Momentum", "Nesterov", "Rmsprop", "Rule"]
