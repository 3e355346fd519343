//! `xtrader._native`: the Python face of the runtime. Newtypes, conversions, signatures; the logic is elsewhere.
#![deny(unsafe_code)]

mod batch;
mod build;
mod control;
mod convert;
mod errors;
mod replay;
mod schema;
mod simulator;
mod store;
mod stream;

use pyo3::prelude::*;

/// The native module behind `xtrader`.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::batch::Batch;
    #[pymodule_export]
    use crate::build::{build_info, default_replay_options, default_stream_options};
    #[pymodule_export]
    use crate::replay::Replay;
    #[pymodule_export]
    use crate::schema::{Schema, exchanges, schema, streams, tables};
    #[pymodule_export]
    use crate::simulator::Simulator;
    #[pymodule_export]
    use crate::store::ParquetStore;
    #[pymodule_export]
    use crate::stream::Stream;
}
