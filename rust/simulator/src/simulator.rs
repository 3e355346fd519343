//! The handle: start, ask, disturb, stop.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::{Clock, MS};
use crate::config::SimulatorConfig;
use crate::error::SimulatorError;
use crate::fault::FaultPlan;
use crate::recorder::{self, Endpoints, RecordRequest, RecordSummary};
use crate::server::{LoadReport, Shared, Tls, serve};
use crate::truth::Truth;

/// A running simulator. Every method may be called from any thread; dropping it stops it.
pub struct Simulator {
    shared: Arc<Shared>,
    ws_port: u16,
    rest_port: u16,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("ws_url", &self.ws_url()).field("rest_url", &self.rest_url()).finish()
    }
}

impl Simulator {
    /// Binds its ports, and serves on a thread of its own. When this returns clients can connect.
    ///
    /// # Errors
    /// [`SimulatorError`] for a configuration that makes no sense, a capture that cannot be read, or a taken port.
    pub fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        config.check()?;
        let tls = config.tls.then(Tls::new).transpose()?;
        let (ws, ws_port) = bind(&config.addresses, config.ws_port)?;
        let (rest, rest_port) = bind(&config.addresses, config.rest_port)?;

        let clock = Clock::start();
        let start_ms = config.start_ms.unwrap_or((clock.started_wall_ns() / MS) as i64);
        let mut truth = Truth::new(config.truth.clone());
        let venue = config.exchange.play(&config, start_ms, &mut truth)?;
        let shared = Arc::new(Shared::new(config, clock, tls, venue, truth));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SimulatorError::io("a runtime"))?;
        let (ws, rest) = {
            let _guard = runtime.enter();
            let listen = |l: Vec<StdListener>| {
                let listeners: std::io::Result<Vec<_>> = l.into_iter().map(tokio::net::TcpListener::from_std).collect();
                listeners.map_err(SimulatorError::io("a listener"))
            };
            (listen(ws)?, listen(rest)?)
        };
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("xtrader-simulator".into())
            .spawn(move || runtime.block_on(serve(serving, ws, rest)))
            .map_err(SimulatorError::io("a thread"))?;
        Ok(Self { shared, ws_port, rest_port, thread: Mutex::new(Some(thread)) })
    }

    /// Where the WebSocket server is: `ws://127.0.0.1:PORT`, with TLS `wss://localhost:PORT`. Of several addresses it is the
    /// first one; the others have the same port.
    #[must_use]
    pub fn ws_url(&self) -> String {
        self.url("ws", self.ws_port)
    }

    /// Where the REST server is: `http://127.0.0.1:PORT`, with TLS `https://localhost:PORT`.
    #[must_use]
    pub fn rest_url(&self) -> String {
        self.url("http", self.rest_port)
    }

    fn url(&self, scheme: &str, port: u16) -> String {
        match self.shared.tls {
            Some(_) => format!("{scheme}s://localhost:{port}"),
            None => format!("{scheme}://{}", SocketAddr::new(self.first_address(), port)),
        }
    }

    fn first_address(&self) -> IpAddr {
        self.config().addresses.first().copied().unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }

    /// The certificate authority that clients must trust, as PEM; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.shared.tls.as_ref().map(|t| t.ca_pem().to_owned())
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &SimulatorConfig {
        &self.shared.config
    }

    /// Stops serving: every socket is closed, every thread is gone when this returns. The truth can still be asked.
    /// Stopping twice does nothing.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread has been reported by the thread itself.
            let _ = thread.join();
        }
        let load = std::mem::take(&mut *self.shared.load_threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in load {
            let _ = thread.join();
        }
    }

    /// True until [`Self::stop`].
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.stopped.load(Ordering::Acquire)
    }

    /// Adds a fault; its number is for [`Self::fault_fired`] and [`Self::remove_fault`]. The plans of the configuration
    /// have the numbers 0, 1, 2 …
    ///
    /// # Errors
    /// [`SimulatorError::Config`] for a plan that could never strike.
    pub fn inject(&self, plan: FaultPlan) -> Result<u64, SimulatorError> {
        self.config().check_plan(&plan)?;
        Ok(self.shared.inject(plan))
    }

    /// [`Self::inject`] with JSON.
    ///
    /// # Errors
    /// [`SimulatorError::Json`] or [`SimulatorError::Config`].
    pub fn inject_json(&self, plan: &str) -> Result<u64, SimulatorError> {
        self.inject(FaultPlan::from_json(plan)?)
    }

    /// How often a fault has struck so far.
    #[must_use]
    pub fn fault_fired(&self, id: u64) -> u64 {
        self.shared.state().faults.fired(id)
    }

    /// Ends a fault. What it has done stays done.
    pub fn remove_fault(&self, id: u64) {
        self.shared.state().faults.remove(id);
        self.shared.wake.notify_one();
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
        self.shared.wake.notify_one();
    }

    /// The market stands still from now on. What has happened is still sent: after [`Self::wait_drained`] a client that
    /// heard everything holds [`Truth::final_book`].
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// The market goes on. Nothing is made up for.
    pub fn resume(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, paused: bool) {
        let now = self.shared.clock.now();
        self.shared.state().venue.set_paused(paused, now);
        self.shared.wake.notify_one();
    }

    /// Waits until a paused market has nothing more to tell, and every queued frame is written to its socket. False if
    /// that takes longer than `patience`.
    #[must_use]
    pub fn wait_drained(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            {
                let state = self.shared.state();
                if state.venue.next_time().is_none() && state.hub.drained() {
                    return true;
                }
            }
            if Instant::now() >= deadline || !self.is_running() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks the truth. The simulator stands still meanwhile.
    pub fn with_truth<R>(&self, ask: impl FnOnce(&Truth) -> R) -> R {
        ask(&self.shared.state().truth)
    }

    /// [`Truth::query`]: JSON in, JSON out.
    ///
    /// # Errors
    /// [`SimulatorError::Json`] where the question is not understood.
    pub fn truth_json(&self, question: &str) -> Result<String, SimulatorError> {
        self.with_truth(|t| t.query(question))
    }

    /// [`Truth::write`].
    ///
    /// # Errors
    /// [`SimulatorError::Io`] naming the file.
    pub fn write_truth(&self, dir: &Path) -> Result<(), SimulatorError> {
        self.with_truth(|t| t.write(dir))
    }

    /// What load tests sent so far, one report a connection.
    #[must_use]
    pub fn load_reports(&self) -> Vec<LoadReport> {
        let logs = self.shared.load_logs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        logs.iter().map(|l| l.report()).collect()
    }

    /// Records what a plain client sees, into a capture. Blocks for as long as it records.
    ///
    /// # Errors
    /// [`SimulatorError`] where the file cannot be written or the simulator is stopped.
    pub fn record(&self, request: &RecordRequest) -> Result<RecordSummary, SimulatorError> {
        if !self.is_running() {
            return Err(SimulatorError::Stopped);
        }
        let symbols =
            if request.symbols.is_empty() { self.with_truth(Truth::symbols) } else { request.symbols.clone() };
        let ca = self.shared.tls.as_ref().map(Tls::ca_der);
        let endpoints = Endpoints { ws: self.ws_url(), rest: self.rest_url(), ca };
        let mut summary = recorder::record(&endpoints, request, self.config().exchange.recipe(request, &symbols))?;
        let mine = |peer: &String| summary.peers.contains(peer);
        let numbers = |t: &Truth| t.connections().iter().filter(|c| mine(&c.peer)).map(|c| c.number).collect();
        summary.connections = self.with_truth(numbers);
        Ok(summary)
    }
}

/// Listens at one port of all addresses; says which.
fn bind(addresses: &[IpAddr], port: u16) -> Result<(Vec<StdListener>, u16), SimulatorError> {
    let all = || -> std::io::Result<(Vec<StdListener>, u16)> {
        let (mut listeners, mut port) = (Vec::new(), port);
        for address in addresses {
            let listener = StdListener::bind((*address, port))?;
            listener.set_nonblocking(true)?;
            // Where any free one will do, the first address finds it.
            port = listener.local_addr()?.port();
            listeners.push(listener);
        }
        Ok((listeners, port))
    };
    // What is free at one address may be taken at another.
    let tries = if port == 0 { 20 } else { 1 };
    let mut bound = all();
    for _ in 1..tries {
        if bound.is_ok() {
            break;
        }
        bound = all();
    }
    bound.map_err(SimulatorError::io(format!("port {port} of {addresses:?}")))
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
    }
}
