//! The engine in virtual time: hand-written frames in the documented formats, and rows and actions compared with what
//! the manual says.

mod books;
mod cadence;
mod cells;
mod chains;
mod commands;
mod copies;
mod exchange;
mod faults;
mod frames;
mod harness;
mod inverse;
mod lag;
mod lanes;
mod ledger;
mod merge;
mod names;
mod peers;
mod quotes;
mod reader;
mod recovery;
mod refused;
mod replacement;
mod replay;
mod requests;
mod resync;
mod rotation;
mod rows;
mod states;
mod subscriptions;
mod times;
mod trades;
mod turnover;
mod unconverted;
mod variants;
mod verify;
