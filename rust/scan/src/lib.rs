//! Byte and digit kernels: how a frame's text becomes numbers, exactly and fast.
//!
//! The only crate of the engine with `unsafe` code, all of it in the vector kernels and in one conversion of checked
//! ASCII; everything else is safe Rust on slices. Each vector kernel has a scalar twin that is its oracle;
//! [`Isa`] chooses between them once, at run time.
//!
//! - [`exact`] any decimal text, slowly: the oracle of everything faster.
//! - [`fixed`] the plain texts that exchanges send, straight into an `i64` at a wanted scale.
//! - [`bare`] the same for numbers without quotes, exponents included.
//! - [`Cursor`] walks a frame of a known shape: literals, integers, symbols, numbers.
//! - [`levels()`], [`levels_with`] a list of `["price","size"]` levels, also with further members.
//! - [`has_padding`] whether numbers of such a list end in needless zeros.
//! - [`actions()`] a list of `["new",price,size]` levels.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod bare;
mod cursor;
mod exact;
mod fixed;
mod isa;
mod levels;
mod padding;
mod swar;
mod word;

pub use bare::{bare, bare_exact, json_number};
pub use cursor::Cursor;
pub use exact::{Exact, MAX_DIGITS, NumberError, exact, signed, unsigned};
pub use fixed::fixed;
pub use isa::Isa;
pub use levels::{LevelScales, Run, Stop, actions, levels, levels_with, pair, pair2};
pub use memchr::{memchr, memrchr};
pub use padding::has_padding;
pub use word::{before, last_quote, quote_or_escape};
