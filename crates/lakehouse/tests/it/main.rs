//! Tests of the lake as its callers see it: a warehouse in a temporary folder, pointers in memory.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic as the test itself may")]

mod evolving;
mod garbage;
mod harness;
mod landing;
mod manifests;
mod model;
mod querying;
mod racing;
mod refusing;
