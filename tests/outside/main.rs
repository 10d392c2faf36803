//! metagate from outside: the running binary, and clients of every encoding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod client;
mod command_line;
mod crashes;
mod deadlines;
mod dialect;
mod disks;
mod framing;
mod front_door;
mod http1;
mod issuers;
mod keys;
mod limits;
mod listeners;
mod logins;
mod metrics;
mod parity;
mod reload;
mod reload_settings;
mod reloading;
mod rolling_restart;
mod scenarios;
mod secrets;
mod server;
mod standard_services;
mod store_commands;
mod store_from_zitadel;
mod strict_json;
mod throttle;
mod tls;
