"""Parameters of components as parameters of the estimator: `loss__quantile`, `penalty__gamma`."""

from typing import Any, Self

from sklearn.base import BaseEstimator

from fastgd.estimators.unknown_parameters import parameter_instead
from fastgd.runtime.component import Component

# How each of the parameters that may be a component is given as one.
OBJECTS = {
    "loss": "an object such as fastgd.Quantile(0.9)",
    "penalty": "an object such as fastgd.MCP(3.0)",
    "solver": "an object such as fastgd.Adam()",
}


class NestedParameters(BaseEstimator):
    """`get_params` and `set_params` that reach the parameters of loss, penalty and solver where
    these are given as components.

    Components do not change: a parameter that is set makes another one.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the estimator, by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of components are among them: `loss__quantile` of
            `loss=Quantile(0.9)`.

        Returns
        -------
        dict
        """
        found: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            for name, value in list(found.items()):
                if isinstance(value, Component):
                    arguments = value.constructor_arguments().items()
                    found.update({f"{name}__{inner}": given for inner, given in arguments})
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator, and of its components.

        Parameters
        ----------
        **params : dict
            By name, those of components as `loss__quantile`, which make another component.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a name or a value that is not allowed; the estimator is left as it was.

        Examples
        --------
        >>> from fastgd import GDRegressor, Quantile
        >>> GDRegressor(Quantile(0.5)).set_params(loss__quantile=0.9).loss
        Quantile(quantile=0.9)
        """
        own = self.get_params(deep=False)
        plain = {key: value for key, value in params.items() if "__" not in key}
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, sep, inner = key.partition("__")
            if sep and name in own and not hasattr(own[name], "set_params"):
                nested.setdefault(name, {})[inner] = value
            elif sep:
                plain[key] = value  # of another kind, or unknown and refused with the others
        made = {
            name: _changed(name, plain.get(name, own[name]), changes)
            for name, changes in nested.items()
        }
        try:
            super().set_params(**plain)
        except ValueError:
            for name, value in own.items():
                setattr(self, name, value)
            for name in (one for one in plain if one not in own):
                if told := parameter_instead(name, plain[name], type(self).__init__, list(own)):
                    kind = type(self).__name__
                    raise ValueError(f"Invalid parameter {name!r} for {kind}; {told}") from None
            raise
        for name, component in made.items():
            setattr(self, name, component)
        return self


def _changed(name, component, changes):
    """A component as this one, but for some arguments of its constructor."""
    given = f"{name}__{next(iter(changes))}"
    if not isinstance(component, Component):
        remedy = f"give {name}={OBJECTS[name]}" if name in OBJECTS else f"{name} is never one"
        raise ValueError(
            f"{given} is a parameter of a component, and {name}={component!r} is none: {remedy}"
        )
    known = component.constructor_arguments()
    for inner in changes:
        if inner not in known:
            allowed = ", ".join(f"{name}__{one}" for one in known) or "none"
            raise ValueError(
                f"{name}={component!r} has no parameter {inner!r}; those of its own are: {allowed}"
            )
    return type(component)(**{**known, **changes})
