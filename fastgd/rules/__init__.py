"""What an update is: rules, learning rates and the order of the rows."""

from fastgd.rules.classic import Adagrad, Adam, Gd, Momentum, Nesterov, Rmsprop, Rule

__all__ = ["Adagrad", "Adam", "Gd", "Momentum", "Nesterov", "Rmsprop", "Rule"]
