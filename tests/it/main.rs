//! Drives the real program: each test has a scratch folder and a cleared environment of its own.

mod support;

mod cli;
