"""The configuration model: the same defaults as the engine, and nothing that it does not know."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def test_the_defaults_of_a_stream_are_the_native_ones() -> None:
    ours = json.loads(xt.StreamConfig(subscriptions=("binance-futures:BTCUSDT",), seed=0).native())
    theirs = _native.default_stream_options()
    assert ours.pop("subscriptions") == ["binance-futures:BTCUSDT"]
    for key in ("venue", "mode", "symbols", "shard", "login"):  # what a subscription and the shell decide
        del theirs["engine"][key]
    assert ours == theirs


def test_the_defaults_of_a_replay_are_the_native_ones() -> None:
    assert json.loads(xt.ReplayConfig(paths=()).native()) == _native.default_replay_options()


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("binance-futures:BTCUSDT, okx:*USDT", ["binance-futures:BTCUSDT", "okx:*USDT"]),
        ("okx-swap:kind=perpetual,quote=USDT", ["okx-swap:kind=perpetual,quote=USDT"]),
        (["okx-swap:kind=perpetual,quote=USDT,deribit:BTC", "binance-spot:ETHUSDT,"], [
            "okx-swap:kind=perpetual,quote=USDT",
            "deribit:BTC",
            "binance-spot:ETHUSDT",
        ]),
    ],
)  # fmt: skip
def test_commas_part_subscriptions_and_not_conditions(given: str | list[str], parts: list[str]) -> None:
    assert list(xt.StreamConfig.checked(subscriptions=given).subscriptions) == parts


def test_a_setting_of_one_exchange_is_given_plainly_or_by_exchange() -> None:
    def native(**options: Any) -> dict[str, Any]:
        config = xt.StreamConfig.checked(subscriptions="deribit:BTC-PERPETUAL", **options)
        values: dict[str, Any] = json.loads(config.native())
        return values

    assert native(login={"env": "D"})["login"] == {"env": "D"}
    assert native(login={"deribit": xt.Login(file=Path("/d.json"))})["login"] == {"deribit": {"file": "/d.json"}}
    addresses = {"ws": "ws://localhost:1", "rest": "http://localhost:2"}
    assert native(endpoints=addresses)["engine"]["endpoints"] == addresses
    assert native(endpoints={"deribit": addresses})["engine"]["endpoints"] == {"deribit": addresses}
    for given, text in (
        ({"endpoints": {"ws": "ws://localhost"}}, "endpoints.rest: field required"),
        ({"endpoints": {"deribit": {"ws": "x", "rets": "y"}}}, "endpoints.deribit.rets: there is no such key"),
        ({"login": {"env": "A", "file": "B"}}, "login: .*name one place"),
    ):
        with pytest.raises(xt.ConfigError, match=text):
            native(**given)


def test_two_streams_never_retry_in_step() -> None:
    config = xt.StreamConfig(subscriptions=("binance-futures:BTCUSDT",))
    seeds = {json.loads(config.native())["engine"]["seed"] for _ in range(8)}
    assert len(seeds) == 8


@pytest.mark.parametrize(
    ("config", "options"), [(xt.StreamConfig, config.StreamOptions), (xt.ReplayConfig, config.ReplayOptions)]
)
def test_the_keyword_arguments_are_the_fields(config: type[BaseModel], options: type) -> None:
    assert set(options.__annotations__) == set(config.model_fields) - {"subscriptions", "paths"}


def bounds() -> Iterator[tuple[str, str | None, int]]:
    """Every number right outside its bounds: section, field, value."""
    sections: list[tuple[str | None, type[BaseModel]]] = [(None, xt.StreamConfig)]
    for name, field in xt.StreamConfig.model_fields.items():
        if isinstance(field.default, BaseModel):
            sections.append((name, type(field.default)))
    for section, model in sections:
        for name, field in model.model_fields.items():
            for rule in field.metadata:
                if (low := getattr(rule, "ge", None)) is not None and low > 0:
                    yield name, section, low - 1
                if (high := getattr(rule, "le", None)) is not None:
                    yield name, section, high + 1


@pytest.mark.parametrize(("name", "section", "value"), list(bounds()))
def test_the_bounds_are_the_native_ones(name: str, section: str | None, value: int) -> None:
    roomy = xt.StreamConfig(subscriptions=("binance-futures:BTCUSDT",), seed=0, queue_bytes=1 << 40)
    options = json.loads(roomy.native())
    holder = options["engine"] if name in options["engine"] or section in options["engine"] else options
    (holder[section] if section else holder)[name] = value
    with pytest.raises(xt.ConfigError, match=rf"{name} = {value} is out of bounds"):
        _native.Stream(json.dumps(options))
    given = {name: value} if section is None else {section: {name: value}}
    with pytest.raises(xt.ConfigError, match=name):
        xt.StreamConfig.checked(subscriptions="binance-futures:BTCUSDT", **given)


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


def test_real_speed_is_a_number_or_a_word() -> None:
    for speed in (1, "1"):
        assert xt.ReplayConfig.checked(paths=(), speed=speed).speed == "1"
    for speed in (True, 2, "fast"):
        with pytest.raises(xt.ConfigError, match="speed: input should be 'max' or '1'"):
            xt.ReplayConfig.checked(paths=(), speed=speed)
