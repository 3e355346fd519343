//! Questions to the truth as JSON, for callers in other languages.

use serde::{Deserialize, Serialize};

use crate::SimulatorError;
use crate::event::EventKind;
use crate::truth::Truth;

/// A question. JSON: an object with `what` and the fields named here; the answer is JSON too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum TruthQuery {
    /// Numbers of everything, and whether the log is complete.
    Summary,
    /// The symbols.
    Symbols,
    /// [`Truth::events`], of one stream if given, without payloads unless asked for.
    Events {
        /// Only this stream.
        #[serde(default)]
        stream: Option<String>,
        /// With payloads.
        #[serde(default)]
        payload: bool,
    },
    /// [`Truth::frames`].
    Frames {
        /// Only this connection.
        #[serde(default)]
        conn: Option<u64>,
    },
    /// [`Truth::trades`] of `agg_trade` (default) or `trade`.
    Trades {
        /// Only this symbol.
        #[serde(default)]
        symbol: Option<String>,
        /// `true` asks for single fills (`@trade`) instead of `@aggTrade`.
        #[serde(default)]
        single: bool,
    },
    /// [`Truth::book_at`]; without an id, the present book.
    Book {
        /// The exchange's symbol.
        symbol: String,
        /// As of which id.
        #[serde(default)]
        id: Option<u64>,
        /// Only so many levels a side.
        #[serde(default)]
        levels: Option<usize>,
    },
    /// [`Truth::client_book`].
    ClientBook {
        /// The exchange's symbol.
        symbol: String,
        /// The depth stream it follows.
        stream: String,
        /// Id of its snapshot.
        snapshot_id: u64,
        /// Levels a side of its snapshot.
        limit: usize,
        /// As of which id.
        id: u64,
    },
    /// [`Truth::connections`].
    Connections,
    /// [`Truth::alterations`].
    Alterations,
    /// [`Truth::requests`].
    Requests,
    /// [`Truth::uncarried`].
    Uncarried {
        /// The stream.
        stream: String,
        /// Only this symbol.
        #[serde(default)]
        symbol: Option<String>,
    },
    /// [`Truth::missing`]: numbers and ids of events whose last id is not in `seen`.
    Missing {
        /// The stream.
        stream: String,
        /// Last ids that were seen.
        seen: Vec<u64>,
    },
}

impl Truth {
    /// Answers a question in JSON.
    ///
    /// # Errors
    /// [`SimulatorError::Json`] where the question is not understood.
    pub fn query(&self, question: &str) -> Result<String, SimulatorError> {
        let question: TruthQuery = serde_json::from_str(question).map_err(not_understood)?;
        self.answer(&question).and_then(|v| serde_json::to_string(&v)).map_err(not_understood)
    }

    fn answer(&self, question: &TruthQuery) -> Result<serde_json::Value, serde_json::Error> {
        use serde_json::{json, to_value};
        match question {
            TruthQuery::Summary => Ok(json!({
                "complete": self.complete(), "issued": self.issued(), "events": self.events.len(),
                "frames": self.frames.len(), "connections": self.connections.len(),
                "alterations": self.alterations.len(), "requests": self.requests.len(), "symbols": self.symbols(),
            })),
            TruthQuery::Symbols => to_value(self.symbols()),
            TruthQuery::Events { stream, payload } => {
                let wanted: Vec<_> = match stream {
                    Some(stream) => self.events_of(stream).collect(),
                    None => self.events.iter().collect(),
                };
                let mut rows = wanted.into_iter().map(|e| to_value(&**e)).collect::<Result<Vec<_>, _>>()?;
                if !payload {
                    rows.iter_mut().filter_map(|r| r.as_object_mut()).for_each(|r| drop(r.remove("payload")));
                }
                Ok(rows.into())
            }
            TruthQuery::Frames { conn } => to_value(self.frames(*conn).collect::<Vec<_>>()),
            TruthQuery::Trades { symbol, single } => {
                let kind = if *single { EventKind::Trade } else { EventKind::AggTrade };
                to_value(self.trades(kind, symbol.as_deref()))
            }
            TruthQuery::Book { symbol, id, levels } => {
                let mut book = match id {
                    Some(id) => self.book_at(symbol, *id),
                    None => self.final_book(symbol),
                };
                if let (Some(b), Some(n)) = (&mut book, levels) {
                    b.bids.truncate(*n);
                    b.asks.truncate(*n);
                }
                to_value(book)
            }
            TruthQuery::ClientBook { symbol, stream, snapshot_id, limit, id } => {
                to_value(self.client_book(symbol, stream, *snapshot_id, *limit, *id))
            }
            TruthQuery::Connections => to_value(self.connections()),
            TruthQuery::Alterations => to_value(self.alterations()),
            TruthQuery::Requests => to_value(self.requests()),
            TruthQuery::Uncarried { stream, symbol } => to_value(self.uncarried(stream, symbol.as_deref())),
            TruthQuery::Missing { stream, seen } => {
                let missing = self.missing(stream, &seen.iter().copied().collect());
                Ok(missing
                    .iter()
                    .map(|e| json!({"seq": e.seq, "first_id": e.first_id, "last_id": e.last_id}))
                    .collect())
            }
        }
    }
}

fn not_understood(source: serde_json::Error) -> SimulatorError {
    SimulatorError::Json { what: "the question to the truth", source }
}
