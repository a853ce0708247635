//! Requests, files and pages of the service.
