"""The configuration model: the same defaults as the engine, and nothing that it does not know."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import xtrader as xt
from xtrader import _native, config

MODELS = [
    model
    for _, model in inspect.getmembers(config, inspect.isclass)
    if issubclass(model, config.Settings) and model is not config.Settings
]


@pytest.mark.parametrize("model", MODELS)
def test_a_misspelt_key_is_refused_by_its_path(model: type[config.Settings]) -> None:
    with pytest.raises(xt.ConfigError, match=r"configuration: .*misspelt_key: there is no such key"):
        model.checked(misspelt_key=1)


@pytest.mark.parametrize("model", MODELS)
def test_models_are_frozen_and_documented(model: type[config.Settings]) -> None:
    assert model.model_config["frozen"]
    assert model.__doc__
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} says nothing of itself"


@pytest.mark.parametrize(
    ("key", "model"), [("batch", xt.BatchLimits), ("book", xt.BookLimits), ("deadlines", xt.Deadlines)]
)
def test_defaults_are_those_of_the_engine(key: str, model: type[BaseModel]) -> None:
    assert model().model_dump() == json.loads(_native.default_engine_config())[key]


def test_words_are_those_of_the_engine() -> None:
    defaults = json.loads(_native.default_engine_config())
    for key, words in {
        "numeric": config.Numeric,
        "size_unit": config.SizeUnit,
        "trade_source": config.TradeSource,
        "depth_speed": config.DepthSpeed,
    }.items():
        assert defaults[key] in get_args(words)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"max_rows": 0}, "max_rows: input should be greater than or equal to 1"),
        ({"max_rows": "many"}, "max_rows: input should be a valid integer"),
        ({"max_bytes": 1}, "max_bytes: input should be greater than or equal to 65536"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(values: dict[str, Any], text: str) -> None:
    with pytest.raises(xt.ConfigError, match=text):
        xt.BatchLimits.checked(**values)
