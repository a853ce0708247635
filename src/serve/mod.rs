//! Use case: the page over a live store, on this machine.
//!
//! ```text
//! connection ─> guard (Host, method, cookie) ─┬─> files of the page
//!                                             └─> api ─> Source (a snapshot) ─> page::PageData ─> JSON
//! ```
//!
//! No request changes the store. Readers are detached, so a run in another process never waits for
//! them.

mod api;
mod guard;
mod server;
mod source;
mod token;

pub use server::{Config, Error, Server};
pub use source::ServedStore;
pub use token::{BadToken, Token};
