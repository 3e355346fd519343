//! The engine in virtual time: hand-written frames in the documented formats, and rows and actions compared with what
//! the manual says.

mod books;
mod faults;
mod harness;
mod peers;
mod replay;
mod trades;
