//! runtime

pub mod live;

/// Version of this build.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
