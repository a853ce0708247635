//! `push` to a server for object storage, and the table in other engines: `make test-cluster`.
//!
//! These tests need SeaweedFS and Python packages, so `make test` leaves them out.

#![allow(dead_code)] // until `push` is there

mod engines;
mod machine;
mod readers;
mod seaweed;
mod spark;
