//! What an exchange refuses: at the very start it means a wrong configuration; later, and where the exchange says that it
//! has no time, it passes, and costs nothing else.

use super::exchange::{Exchange, VENUES, refused, symbol};
use super::frames::{binance_instruments, okx_instruments, okx_spot};
use crate::config::{ConfigError, EngineConfig, Stream};
use crate::engine::DownReason;
use crate::symbol::Venue;
use crate::table::Table;

const STREAMS: [Stream; 2] = [Stream::Trades, Stream::L2];

/// An exchange that has refused nothing yet, and some of its market.
fn running(venue: Venue, change: impl FnOnce(&mut EngineConfig)) -> Exchange {
    let mut exchange = Exchange::new(venue, &STREAMS, change);
    exchange.run_ms(5_000, 500);
    exchange.asked.clear();
    exchange
}

/// One that refuses from the start.
fn refusing(venue: Venue, code: i64, change: impl FnOnce(&mut EngineConfig)) -> Exchange {
    let mut exchange = Exchange::waiting(venue, &STREAMS, change);
    exchange.refusal = Some(code);
    exchange.serve();
    exchange
}

/// Every connection is lost.
fn lose_all(exchange: &mut Exchange) {
    let conns: Vec<_> = exchange.lines.iter().map(|line| line.conn).collect();
    for conn in conns {
        exchange.end(conn, DownReason::Reset);
    }
    exchange.serve();
}

fn warnings(exchange: &mut Exchange) -> Vec<String> {
    std::iter::from_fn(|| exchange.world.engine.poll_warning()).collect()
}

/// Streams with a gap that is open, and how many gaps have been closed.
fn gaps(exchange: &mut Exchange) -> (usize, usize) {
    let rows = exchange.world.rows(Table::Gaps, &["ts_resumed"]);
    let closed = rows.iter().filter(|resumed| !resumed.is_empty()).count();
    (rows.len() - 2 * closed, closed)
}

fn fault(exchange: &Exchange) -> Option<ConfigError> {
    exchange.world.engine.fault().cloned()
}

/// How often it was asked for its symbol, or for a login.
fn times_asked(exchange: &Exchange) -> usize {
    let own = symbol(exchange.venue).to_lowercase();
    let means = |text: &str| text == "login" || text.to_lowercase().contains(&own) && !text.contains("unsub");
    exchange.asked.iter().filter(|(_, text)| means(text)).count()
}

/// It goes on as if nothing had been refused.
fn recovers(exchange: &mut Exchange, within_ms: u64) {
    exchange.refusal = None;
    exchange.run_ms(within_ms, 1_000);
    let before = exchange.trades().len();
    exchange.run_ms(2_000, 500);
    assert_eq!(exchange.trades().len(), before + 4, "{:?}", exchange.venue);
    assert_eq!((gaps(exchange).0, fault(exchange)), (0, None), "{:?}", exchange.venue);
}

// Fault: X17
#[test]
fn a_refusal_of_everything_while_it_runs_passes_and_ends_nothing() {
    for venue in VENUES {
        for code in [refused(venue), 13_009] {
            let mut exchange = running(venue, |_| ());
            exchange.refusal = Some(code);
            lose_all(&mut exchange);
            let (minutes, channels) = (10, 2);
            exchange.run_ms(minutes * 60_000, 1_000);
            assert_eq!((fault(&exchange), gaps(&mut exchange)), (None, (2, 0)), "{venue:?} {code}");
            let told = warnings(&mut exchange);
            assert!((1..=2).contains(&told.len()), "once: {told:?}");
            let word = format!("(code {code})");
            assert!(told[0].starts_with(venue.id()) && told[0].contains(&word), "{told:?}");
            let asked = times_asked(&exchange) as u64;
            // Twice a minute on average if nothing limits it, each channel by itself at worst; OKX allows eight.
            assert!((minutes..=minutes * 9 * (channels + 1)).contains(&asked), "{venue:?} {code}: {asked}");
            recovers(&mut exchange, 90_000);
            assert_eq!(exchange.world.count("/refused_channels"), channels, "{venue:?}: counted once");
        }
    }
}

// Fault: X17
#[test]
fn a_refusal_of_everything_at_the_start_is_an_error() {
    for venue in VENUES {
        let mut exchange = refusing(venue, refused(venue), |_| ());
        exchange.pass_ms(1_000);
        let told = fault(&exchange).expect("nothing will come").to_string();
        assert!(told.contains(&refused(venue).to_string()), "{told}");
    }
}

/// OKX §1, Deribit §6; that it sheds anonymous load is said by 13009, of whoever is not logged in.
// Fault: X17
#[test]
fn an_exchange_that_has_no_time_at_the_start_is_asked_again_and_told_of_when_data_are_overdue() {
    for (venue, code) in
        [(Venue::Okx, 60_014), (Venue::Okx, 64_007), (Venue::Deribit, 10_028), (Venue::Deribit, 13_009)]
    {
        let mut exchange = refusing(venue, code, |_| ());
        exchange.pass_ms(29_000);
        assert_eq!((fault(&exchange), gaps(&mut exchange)), (None, (0, 0)), "{code}");
        assert!(warnings(&mut exchange).is_empty(), "{code}");
        // That connections are cut meanwhile changes nothing.
        lose_all(&mut exchange);
        exchange.pass_ms(91_000);
        assert_eq!((fault(&exchange), gaps(&mut exchange)), (None, (2, 0)), "{code}");
        let told = warnings(&mut exchange);
        assert!((1..=2).contains(&told.len()), "{told:?}");
        let asked = times_asked(&exchange);
        assert!((6..=60).contains(&asked), "{code}: {asked}");
        recovers(&mut exchange, 90_000);
    }
}

// Fault: X17
#[test]
fn a_login_that_is_refused_while_it_runs_is_tried_again_and_at_the_start_an_error() {
    for (venue, code) in [(Venue::Okx, 60_009), (Venue::Deribit, 13_004), (Venue::Deribit, 13_009)] {
        let log_in = |config: &mut EngineConfig| config.login = true;
        let exchange = refusing(venue, code, log_in);
        assert!(matches!(fault(&exchange), Some(ConfigError::Refused { code: told, .. }) if told == code), "{code}");
        let mut exchange = running(venue, log_in);
        exchange.refusal = Some(code);
        lose_all(&mut exchange);
        exchange.run_ms(600_000, 1_000);
        assert_eq!((fault(&exchange), gaps(&mut exchange)), (None, (2, 0)), "{code}");
        assert_eq!(warnings(&mut exchange).len(), 1, "{code}");
        let asked = times_asked(&exchange);
        assert!((10..=100).contains(&asked), "{code}: {asked}");
        recovers(&mut exchange, 90_000);
    }
}

// Fault: X17, X23
#[test]
fn what_is_refused_and_listed_no_more_ends_and_is_asked_for_no_more() {
    for venue in [Venue::BinanceSpot, Venue::Okx] {
        let listed = |names: &[&str]| match venue {
            Venue::Okx => okx_instruments(&names.iter().map(|base| okx_spot(base, "USDT", "live")).collect::<Vec<_>>()),
            _ => {
                let names: Vec<String> = names.iter().map(|base| format!("{base}USDT")).collect();
                binance_instruments(&names.iter().map(|name| (name.as_str(), "TRADING")).collect::<Vec<_>>())
            }
        };
        let mut exchange = Exchange::waiting(venue, &STREAMS, |_| ());
        exchange.reference = Some(listed(&["BTC", "ETH"]));
        exchange.run_ms(5_000, 500);
        (exchange.refusal, exchange.reference) = (Some(refused(venue)), Some(listed(&["ETH"])));
        lose_all(&mut exchange);
        exchange.pass_ms(60_000);
        assert_eq!((fault(&exchange), gaps(&mut exchange)), (None, (0, 2)), "{venue:?}");
        exchange.asked.clear();
        exchange.pass_ms(300_000);
        assert_eq!((times_asked(&exchange), fault(&exchange)), (0, None), "{venue:?}");
        // Listed again, it begins anew.
        exchange.reference = Some(listed(&["BTC", "ETH"]));
        exchange.refusal = None;
        exchange.pass_ms(3_600_000);
        let before = exchange.trades().len();
        exchange.run_ms(2_000, 500);
        assert_eq!(exchange.trades().len(), before + 4, "{venue:?}");
    }
}
