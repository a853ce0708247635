//! Drives the real program: each test has a scratch folder and a cleared environment of its own.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod support;

mod cli;
mod simulate;
