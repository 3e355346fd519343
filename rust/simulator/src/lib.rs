//! Exchanges one can run at home: real protocol, real sockets, faults on request, the truth written down.

mod binance_futures;
mod book;
mod capture;
mod clock;
mod config;
mod error;
mod event;
mod fault;
mod market;
mod random;
mod recorder;
mod server;
mod simulator;
mod truth;
mod venue;

pub use config::{
    DepthSpeed, ExchangeName, Limits, LoadConfig, LoadKind, SimulatorConfig, Source, SymbolConfig, TruthConfig,
};
pub use error::SimulatorError;
pub use event::{Event, EventKind};
pub use fault::{
    BadCertificate, BadFrame, BadUpgrade, Ending, Fault, FaultPlan, Malformation, SnapshotPosition, Target, When,
};
pub use recorder::{RecordRequest, RecordSummary};
pub use server::LoadReport;
pub use simulator::Simulator;
pub use truth::{Alteration, BookImage, ConnectionRecord, FrameRecord, RequestRecord, TradeRecord, Truth, TruthQuery};
