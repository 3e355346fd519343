//! Sockets, HTTP and WebSocket, the same for every exchange.
//!
//! ```text
//! http         heads of requests, replies
//! websocket    frames, good and bad
//! tls          certificates, good and bad
//! hub          who hears an event, and in what state the faults leave it
//! connection   one WebSocket client: handshake, reader, writer, keeper
//! handshakes   how many upgrades in a window
//! rest         one REST client
//! ```
//!
//! One thread runs a current-thread runtime; all state is behind one mutex that is never held across an await.

mod connection;
mod handshakes;
mod http;
mod hub;
mod load;
mod rest;
mod socket;
mod tls;
mod websocket;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::clock::{Clock, MarketTime};
use crate::config::SimulatorConfig;
use crate::event::Event;
use crate::fault::{FaultPlan, Faults};
use crate::truth::Truth;
use crate::venue::Venue;
use handshakes::Handshakes;
pub(crate) use hub::Hub;
pub(crate) use load::LoadLog;
pub use load::LoadReport;
pub(crate) use tls::{Tls, provider};

/// What the tasks of one simulator share.
pub(crate) struct Shared {
    pub config: SimulatorConfig,
    pub clock: Clock,
    pub tls: Option<Tls>,
    /// Something was injected, subscribed or resumed: the driver looks again.
    pub wake: Notify,
    /// The market went on.
    pub advanced: Notify,
    pub stop: Notify,
    pub stopped: AtomicBool,
    /// WebSocket connections accepted so far, at any address.
    accepted: AtomicU64,
    pub load_threads: Mutex<Vec<JoinHandle<()>>>,
    pub load_logs: Mutex<Vec<Arc<LoadLog>>>,
    state: Mutex<State>,
}

/// Everything that changes.
pub(crate) struct State {
    pub venue: Box<dyn Venue>,
    pub truth: Truth,
    pub faults: Faults,
    pub hub: Hub,
    pub handshakes: Handshakes,
    rate: f64,
    events: Vec<Event>,
}

impl Shared {
    pub(crate) fn new(
        config: SimulatorConfig,
        clock: Clock,
        tls: Option<Tls>,
        venue: Box<dyn Venue>,
        truth: Truth,
    ) -> Self {
        let mut faults = Faults::new(config.seed);
        for plan in &config.faults {
            faults.add(plan.clone(), 0);
        }
        let (hub, handshakes) = (Hub::default(), Handshakes::new(&config));
        let state = State { venue, truth, faults, hub, handshakes, rate: 1.0, events: Vec::new() };
        Self {
            config,
            clock,
            tls,
            wake: Notify::new(),
            advanced: Notify::new(),
            stop: Notify::new(),
            stopped: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            load_threads: Mutex::new(Vec::new()),
            load_logs: Mutex::new(Vec::new()),
            state: Mutex::new(state),
        }
    }

    /// The state, whatever happened to a thread that held it before.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inject(&self, plan: FaultPlan) -> u64 {
        let id = self.state().faults.add(plan, self.clock.now());
        self.wake.notify_one();
        id
    }

    /// Seconds of the configuration that `time_compression` shortens.
    fn compressed(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds / self.config.time_compression).clamp(0.0, 1e9))
    }
}

impl State {
    /// Brings market, faults and sockets up to `now`; says when the clock alone has something to do next.
    fn tick(&mut self, now: MarketTime, market: bool) -> Option<MarketTime> {
        if market {
            self.go_on(now);
        }
        for connection in self.hub.numbers() {
            self.hub.strike_due(connection, &mut self.faults, now);
        }
        let market = self.venue.next_time().filter(|_| market);
        if market.is_none() {
            self.hub.release(now);
        }
        market.into_iter().chain(self.faults.next_time(now)).min()
    }

    /// Tells one connection how a stream stands now.
    fn present(&mut self, connection: u64, stream: &str, now: MarketTime) {
        self.venue.present(stream, now, &mut self.events);
        for event in self.events.drain(..) {
            self.hub.tell(connection, event, &mut self.faults, &mut self.truth, now);
        }
    }

    fn go_on(&mut self, now: MarketTime) {
        let rate = self.faults.rate(now);
        if rate != self.rate {
            self.rate = rate;
            self.venue.set_rate(rate, now);
        }
        self.venue.advance(now, &mut self.events, &mut self.truth);
        for (_, plan) in self.faults.market(now) {
            self.venue.strike(&plan.fault, &plan.target, now, &mut self.events, &mut self.truth);
            self.hub.attend();
        }
        for event in self.events.drain(..) {
            self.hub.publish(event, &mut self.faults, &mut self.truth, now);
        }
    }
}

/// Serves until [`Shared::stop`] is notified.
pub(crate) async fn serve(shared: Arc<Shared>, ws: Vec<TcpListener>, rest: Vec<TcpListener>) {
    let mut tasks = vec![tokio::spawn(drive(Arc::clone(&shared)))];
    tasks.extend(ws.into_iter().map(|l| tokio::spawn(accept_ws(Arc::clone(&shared), l))));
    tasks.extend(rest.into_iter().map(|l| tokio::spawn(accept_rest(Arc::clone(&shared), l))));
    while !shared.stopped.load(Ordering::Acquire) {
        shared.stop.notified().await;
    }
    tasks.iter().for_each(|t| t.abort());
}

async fn drive(shared: Arc<Shared>) {
    let market = shared.config.load.is_none();
    loop {
        let next = shared.state().tick(shared.clock.now(), market);
        shared.advanced.notify_waiters();
        match next {
            Some(at) => {
                let until = tokio::time::Instant::from_std(shared.clock.instant(at));
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = shared.wake.notified() => {}
                }
            }
            None => shared.wake.notified().await,
        }
    }
}

async fn accept_ws(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection::run(Arc::clone(&shared), stream, number));
            }
            // Out of descriptors, most likely: they come back when clients go.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn accept_rest(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(rest::run(Arc::clone(&shared), stream))),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
