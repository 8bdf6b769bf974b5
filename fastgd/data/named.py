"""Components from what a user gives: a string, a component, or None."""

from fastgd.losses.base import Loss, VectorLoss
from fastgd.penalties.separable import ElasticNet, NoPenalty, Penalty
from fastgd.rules.classic import Rule


def find_loss(loss, **fields):
    """Component of a loss given as a string or a component; `fields` are what a string's class takes of them."""
    if isinstance(loss, Loss | VectorLoss):
        return loss
    if not isinstance(loss, str):
        raise ValueError(f"loss must be a string or a Loss or VectorLoss component, got {shown(loss)}")
    found = Loss.named(loss)
    return found(**{name: value for name, value in fields.items() if name in found.__annotations__})


def find_penalty(penalty, l1_ratio=0.15):
    """Component of a penalty given as a string, None or a component."""
    if isinstance(penalty, Penalty):
        return penalty
    if penalty is None:
        return NoPenalty()
    if not isinstance(penalty, str):
        raise ValueError(f"penalty must be a string, None or a Penalty component, got {shown(penalty)}")
    found = Penalty.named(penalty)
    return found(l1_ratio) if found is ElasticNet else found()


def find_rule(rule, momentum):
    """Component of an update rule given as a string or a component; `momentum` is for the rules that take one."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise ValueError(f"rule must be a string or a Rule component, got {shown(rule)}")
    found = Rule.named(rule)
    return found(momentum) if "momentum" in found.__annotations__ else found()


def shown(given):
    """What was given, in words; of a class, that an object of it is wanted."""
    return f"the class {given.__name__}: make it {given.__name__}(...)" if isinstance(given, type) else repr(given)
