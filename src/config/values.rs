//! What settings may hold.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use ipnet::IpNet;

use super::Listen;

pub(super) fn path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(if text.is_empty() { None } else { Some(PathBuf::from(text)) })
}

/// One or more places, separated by commas.
pub(super) fn listen(text: &str) -> Result<Vec<Listen>, String> {
    let place = |text: &str| match text.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => Some(Listen::Unix(path.into())),
        Some(("systemd", "")) => Some(Listen::Inherited),
        _ => text.parse().ok().map(Listen::Address),
    };
    let places: Option<Vec<_>> =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(place).collect();
    places.filter(|places| !places.is_empty()).ok_or_else(|| {
        "a list of places, each an address and a port, such as 127.0.0.1:8080 or [::]:8080, or `unix:PATH`, or `systemd:`"
            .to_owned()
    })
}

/// Scheme and host of a URL, and a port if there is one.
pub(super) fn origin(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_origin = text.parse::<http::Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        ["http", "https"].contains(&scheme)
            && !authority.contains('@')
            && text == format!("{scheme}://{authority}")
    });
    if is_origin {
        Ok(Some(text.to_owned()))
    } else {
        Err("`https://HOST` or `https://HOST:PORT`, or http".to_owned())
    }
}

/// A whole number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().map_err(|_| "a whole number of seconds".to_owned())?;
    Ok(Duration::from_secs(seconds.into()))
}

pub(super) fn above_zero<T: FromStr + Default + PartialOrd>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number > T::default())
        .ok_or_else(|| "a whole number above 0".to_owned())
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network =
        |text: &str| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    let list = text
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(network)
        .collect::<Option<Vec<_>>>();
    list.ok_or_else(|| "a list of addresses or networks, such as 10.0.0.7,192.168.0.0/16".to_owned())
}

pub(super) fn limits(text: &str) -> Result<BTreeMap<String, usize>, String> {
    let allowed = "a list such as zitadel.org.v2.OrganizationService=16777216";
    let limit = |text: &str| {
        let (service, limit) = text.split_once('=')?;
        Some((service.trim().to_owned(), above_zero(limit.trim()).ok()?))
    };
    let list =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(limit).collect::<Option<_>>();
    list.ok_or_else(|| allowed.to_owned())
}
