//! Durability: disks that fail, are full, stall, damage what they hold, and lose their power.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod failing_disks;
mod history;
mod power_cuts;
