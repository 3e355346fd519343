//! What a caller asks for, of any number of venues, becomes what each shard is told: one shard (a thread with its engine)
//! for each venue, numbered in the order in which they are named.

use serde_json::{Map, Value, json};
use xtrader_core::config::{ConfigError, EngineConfig, offered, parse_stream, parse_subscription, parse_table};
use xtrader_core::config::{Stream, parse_venue};
use xtrader_core::symbol::Venue;

use super::options::LiveOptions;
use crate::error::RuntimeError;

/// Everything that one stream is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What each shard is told.
    pub shards: Vec<LiveOptions>,
    /// What the caller should know, though it hinders nothing.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Options as Python writes them: those of [`LiveOptions`], with `subscriptions` (texts `EXCHANGE:SYMBOL`) in place
    /// of the engine's venue and symbols. `engine.endpoints` and `login` may be given by exchange, as an object of its
    /// ids; given plainly they are those of the one exchange there is.
    ///
    /// A stream that one of several exchanges does not offer is left out there, with a warning; it is refused where none
    /// does, or where there is only one. `queue_bytes` is the bound of all together.
    ///
    /// # Errors
    /// Not this shape, something that is not there, or what means one exchange where there are several.
    pub fn of(mut options: Map<String, Value>) -> Result<Self, RuntimeError> {
        let texts: Vec<String> =
            serde_json::from_value(options.remove("subscriptions").unwrap_or_default()).map_err(shape)?;
        let venues = by_venue(&texts)?;
        let mut engine = match options.remove("engine") {
            Some(Value::Object(engine)) => engine,
            _ => return Err(ConfigError::Shape("engine is missing".to_owned()).into()),
        };
        for name in names(&engine, "tables") {
            parse_table(&name)?;
        }
        let mut plan = Self::default();
        let mut endpoints =
            Each::of("endpoints", engine.remove("endpoints"), |key| key == "ws" || key == "rest", &venues)?;
        let mut login = Each::of("login", options.remove("login"), |key| key == "env" || key == "file", &venues)?;
        let streams = plan.streams(&names(&engine, "streams"), &venues)?;
        let seed = engine.get("seed").and_then(Value::as_u64).unwrap_or_default();
        for (shard, ((venue, symbols), streams)) in venues.iter().zip(streams).enumerate() {
            let mut engine = engine.clone();
            engine.insert("venue".to_owned(), venue.id().into());
            engine.insert("symbols".to_owned(), json!(symbols));
            engine.insert("streams".to_owned(), json!(streams));
            engine.insert("shard".to_owned(), shard.into());
            engine.insert("seed".to_owned(), seed.wrapping_add(shard as u64).into());
            engine.insert("endpoints".to_owned(), endpoints.take(*venue));
            let mut options = options.clone();
            options.insert("engine".to_owned(), Value::Object(engine));
            options.insert("login".to_owned(), login.take(*venue));
            plan.shards.push(serde_json::from_value(Value::Object(options)).map_err(shape)?);
        }
        plan.divide()?;
        Ok(plan)
    }

    /// The streams of each venue.
    fn streams(&mut self, names: &[String], venues: &[(Venue, Vec<String>)]) -> Result<Vec<Vec<Stream>>, ConfigError> {
        if let [(venue, _)] = venues {
            return Ok(vec![names.iter().map(|name| parse_stream(*venue, name)).collect::<Result<_, _>>()?]);
        }
        let mut streams = vec![Vec::new(); venues.len()];
        for name in names {
            let mut without = Vec::new();
            for ((venue, symbols), streams) in venues.iter().zip(&mut streams) {
                let of_venue = EngineConfig { symbols: symbols.clone(), ..EngineConfig::new(*venue) };
                match parse_stream(*venue, name).ok().filter(|stream| of_venue.may_have(*stream)) {
                    Some(stream) => streams.push(stream),
                    None => without.push(*venue),
                }
            }
            let ids: Vec<&str> = without.iter().map(|venue| venue.id()).collect();
            if without.len() == venues.len() {
                let offers = without.iter().map(|venue| format!("{}: {}", venue.id(), listed(*venue)));
                let there_is = offers.collect::<Vec<_>>().join("; ");
                return Err(ConfigError::Contradiction(format!(
                    "stream {name:?} is offered by none of {}; there is: {there_is}",
                    ids.join(", ")
                )));
            }
            if !without.is_empty() {
                self.warnings.push(format!("stream {name:?} is left out for {}: not offered there", ids.join(", ")));
            }
        }
        match venues.iter().zip(&streams).find(|(_, streams)| streams.is_empty() && !names.is_empty()) {
            Some(((venue, _), _)) => {
                Err(ConfigError::Stream { given: names.join(", "), exchange: venue.id(), available: listed(*venue) })
            }
            None => Ok(streams),
        }
    }

    /// Gives each shard its part of what the caller bounded as a whole.
    fn divide(&mut self) -> Result<(), RuntimeError> {
        let n = self.shards.len();
        for (i, options) in self.shards.iter_mut().enumerate().filter(|_| n > 1) {
            options.check()?;
            let whole = options.queue_bytes;
            options.queue_bytes = whole / n;
            if options.check().is_err() {
                return Err(RuntimeError::Options(format!(
                    "queue_bytes = {whole} is shared by {n} exchanges, and {} is too little for one; raise it",
                    options.queue_bytes
                )));
            }
            options.pin_core = options.pin_core.map(|core| core.saturating_add(i));
        }
        Ok(())
    }
}

/// The subscriptions of each venue, in order of appearance.
///
/// # Errors
/// None at all, or one that cannot be read.
pub(super) fn by_venue(texts: &[String]) -> Result<Vec<(Venue, Vec<String>)>, ConfigError> {
    let mut venues: Vec<(Venue, Vec<String>)> = Vec::new();
    for text in texts {
        let (venue, symbol) = parse_subscription(text)?;
        match venues.iter_mut().find(|(known, _)| *known == venue) {
            Some((_, symbols)) => symbols.push(symbol),
            None => venues.push((venue, vec![symbol])),
        }
    }
    if venues.is_empty() {
        let nothing = "subscriptions is empty; name at least one EXCHANGE:SYMBOL, e.g. binance-futures:BTCUSDT";
        return Err(ConfigError::Contradiction(nothing.to_owned()));
    }
    Ok(venues)
}

/// A setting that every venue has for itself.
struct Each(Vec<(Venue, Value)>);

impl Each {
    fn of(
        key: &str,
        given: Option<Value>,
        is_plain: impl Fn(&str) -> bool,
        venues: &[(Venue, Vec<String>)],
    ) -> Result<Self, ConfigError> {
        let object = match given {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Object(object)) => object,
            Some(_) => return Err(ConfigError::Shape(format!("{key} is no object"))),
        };
        let ids: Vec<&str> = venues.iter().map(|(venue, _)| venue.id()).collect();
        if object.keys().any(|name| is_plain(name)) {
            return match venues {
                [(venue, _)] => Ok(Self(vec![(*venue, Value::Object(object))])),
                _ => Err(ConfigError::Contradiction(format!(
                    "{key} is that of one exchange, and there are {}; give it by exchange, e.g. {{\"{}\": …}}",
                    ids.join(", "),
                    ids[0]
                ))),
            };
        }
        let mut each = Vec::new();
        for (name, value) in object {
            let venue = parse_venue(&name)?;
            if !venues.iter().any(|(known, _)| *known == venue) {
                return Err(ConfigError::Contradiction(format!(
                    "{key} names {name}, and no subscription does; there is: {}",
                    ids.join(", ")
                )));
            }
            each.push((venue, value));
        }
        Ok(Self(each))
    }

    fn take(&mut self, venue: Venue) -> Value {
        let at = self.0.iter().position(|(known, _)| *known == venue);
        at.map_or(Value::Null, |at| self.0.swap_remove(at).1)
    }
}

/// The texts in a list of names, to be checked before the closed sets of the options refuse them with less to say.
#[must_use]
pub fn names(options: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = options.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn listed(venue: Venue) -> String {
    offered(venue).into_iter().map(Stream::name).collect::<Vec<_>>().join(", ")
}

fn shape(error: serde_json::Error) -> RuntimeError {
    ConfigError::Shape(error.to_string()).into()
}

#[cfg(test)]
mod tests;
