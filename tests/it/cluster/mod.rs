//! `push` to a server for object storage, and the table in other engines: `make test-cluster`.
//!
//! These tests need SeaweedFS and Python packages, so `make test` leaves them out.

mod cuts;
mod engines;
mod killed;
mod machine;
mod others;
mod readers;
mod refused;
mod seaweed;
mod spark;
mod writers;
