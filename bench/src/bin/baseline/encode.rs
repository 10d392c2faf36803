//! What it costs to encode a page alone: the message is there, and its bytes go nowhere.

use std::{error::Error, hint::black_box, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use nix::time::{ClockId, clock_gettime};
use prost::Message;

use crate::{
    map::Map,
    messages::{ListQuery, ListRequest, SetRequest},
};

/// How a page is written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Format {
    Json,
    Proto,
    /// Protobuf in base64.
    Text,
}

/// Of encoding no less than this long is measured.
const MEASURED: Duration = Duration::from_millis(50);

/// Encodes a page of `entries` values of `bytes`, and says on stdout how many microseconds of CPU that takes.
pub fn run(format: Format, entries: u32, bytes: usize) -> Result<(), Box<dyn Error>> {
    let map = Map::default();
    for index in 0..entries {
        let value = (0..bytes).map(|at| (at * 31 + at / 7) as u8).collect();
        map.set(SetRequest { key: format!("key-{index:06}"), value });
    }
    let request = ListRequest { query: Some(ListQuery { limit: entries }) };
    let page = map.list(request).ok_or("there is no page")?;
    let encode = || {
        Ok::<_, Box<dyn Error>>(match format {
            Format::Json => serde_json::to_vec(black_box(&page))?,
            Format::Proto => black_box(&page).encode_to_vec(),
            Format::Text => STANDARD.encode(black_box(&page).encode_to_vec()).into_bytes(),
        })
    };
    let now = || Ok::<Duration, nix::Error>(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into());
    // The first ones do not count: memory is had from the system, and the caches are cold.
    for _ in 0..3 {
        black_box(encode()?);
    }
    let (start, mut count) = (now()?, 0_u32);
    let took = loop {
        black_box(encode()?);
        count += 1;
        let took = now()?.saturating_sub(start);
        if took >= MEASURED {
            break took;
        }
    };
    println!("{}", took.as_secs_f64() * 1e6 / f64::from(count));
    Ok(())
}
