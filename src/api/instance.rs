//! Whether a request names a host that is served (contract 5.5, departure D7).

use std::net::IpAddr;

use domain::Error;
use http::HeaderMap;
use ipnet::IpNet;

use crate::front::{Head, Peer};

/// The hosts that are served, and who may say that a request was for another than it names.
#[derive(Debug)]
pub struct Instance<'a> {
    /// Without ports; empty for any host.
    pub domains: &'a [String],
    /// Peers whose forwarding headers count.
    pub trusted_proxies: &'a [IpNet],
    /// What the server is known by, if it does not go by what requests say.
    pub external_url: Option<&'a str>,
}

impl Instance<'_> {
    /// # Errors
    /// [`Error::InstanceNotFound`] if the request is for a host that is not served.
    pub fn check(&self, head: &Head) -> Result<(), Error> {
        let Some(external_domain) = self.domains.first() else { return Ok(()) };
        let (scheme, host) = (scheme(head.record.peer), head.host());
        let origin = if self.trusts(head.record.peer) {
            Origin::forwarded(&head.headers, &host, scheme)
        } else {
            Origin { instance_host: &host, public_host: "", scheme }
        };
        let host = without_port(origin.instance_host);
        if self.domains.iter().any(|domain| domain == host) {
            return Ok(());
        }
        let Origin { instance_host, public_host, scheme } = origin;
        let origin = format!("&{{{instance_host} {public_host} {scheme}}}");
        Err(Error::InstanceNotFound { origin, external_domain: external_domain.clone() })
    }

    /// By whom tokens are issued, as far as this request can tell: scheme and host, and the port if the client sent one
    /// (contract-identity 1.2).
    pub fn issuer(&self, head: &Head) -> String {
        if let Some(url) = self.external_url {
            return url.to_owned();
        }
        let (mut scheme, named) = (scheme(head.record.peer), head.host());
        let mut host = &*named;
        if self.trusts(head.record.peer) {
            let text =
                |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
            if let Some(forwarded) = text("x-forwarded-proto").filter(|word| ["http", "https"].contains(word))
            {
                scheme = forwarded;
            }
            let hosts = ["x-zitadel-public-host", "x-zitadel-instance-host", "x-forwarded-host"];
            host = hosts.into_iter().filter_map(text).find(|host| is_host(host)).unwrap_or(host);
        }
        format!("{scheme}://{host}")
    }

    /// Where the request comes from: the peer, or whom a proxy names that is trusted. `None` where nobody knows.
    pub fn caller_address(&self, head: &Head) -> Option<IpAddr> {
        let forwarded = || {
            let header = head.headers.get_all("x-forwarded-for").into_iter().next_back()?.to_str().ok()?;
            header.rsplit(',').next()?.trim().parse().ok()
        };
        let forwarded = if self.trusts(head.record.peer) { forwarded() } else { None };
        forwarded.or(head.record.peer.address)
    }

    /// The domain that organizations' domains are below.
    pub fn domain(&self, issuer: &str) -> String {
        let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
        self.domains.first().map_or(without_port(host), String::as_str).to_owned()
    }

    fn trusts(&self, peer: Peer) -> bool {
        peer.address.is_some_and(|peer| {
            self.trusted_proxies.iter().any(|proxies| proxies.contains(&peer.to_canonical()))
        })
    }
}

/// What the connection itself says.
fn scheme(peer: Peer) -> &'static str {
    if peer.is_secure { "https" } else { "http" }
}

/// What a request was for, before it was forwarded.
struct Origin<'a> {
    instance_host: &'a str,
    public_host: &'a str,
    scheme: &'a str,
}

impl<'a> Origin<'a> {
    fn forwarded(headers: &'a HeaderMap, host: &'a str, own_scheme: &'a str) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let pair = |header: &str, name: &str| text(header).and_then(|value| forwarded_pair(value, name));
        let instance_host = [
            text("x-zitadel-instance-host"),
            pair("forwarded", "host"),
            pair("x-zitadel-forwarded", "host"),
            pair("x-forwarded-for", "host"),
            text("x-forwarded-host"),
        ];
        let scheme = [
            pair("forwarded", "proto"),
            pair("x-zitadel-forwarded", "proto"),
            pair("x-forwarded-for", "proto"),
            text("x-forwarded-proto"),
        ];
        Self {
            instance_host: instance_host.into_iter().flatten().find(|host| is_host(host)).unwrap_or(host),
            public_host: text("x-zitadel-public-host").unwrap_or_default(),
            scheme: scheme
                .into_iter()
                .flatten()
                .find(|scheme| ["http", "https"].contains(scheme))
                .unwrap_or(own_scheme),
        }
    }
}

/// The value of a parameter in the first, oldest, element of a `Forwarded` header (RFC 7239, section 4).
fn forwarded_pair<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let element = header.split(',').next()?;
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"'))
}

/// Not empty, and if it has a port, one that exists.
fn is_host(host: &str) -> bool {
    let port = host.strip_prefix(without_port(host)).and_then(|port| port.strip_prefix(':'));
    !host.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // A colon inside brackets is part of an IPv6 address.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn origins() {
        for (headers, want) in [
            (&[][..], "&{localhost:8080  http}"),
            (&[("x-forwarded-host", "a.example")], "&{a.example  http}"),
            (&[("x-forwarded-host", "a.example:99999")], "&{localhost:8080  http}"),
            (
                &[("forwarded", "for=1.2.3.4; Host=\"b.example:443\";proto=https, host=c")],
                "&{b.example:443  https}",
            ),
            (
                &[("forwarded", "host=b.example"), ("x-zitadel-instance-host", "i.example")],
                "&{i.example  http}",
            ),
            (
                &[("x-zitadel-public-host", "p.example"), ("x-forwarded-proto", "https")],
                "&{localhost:8080 p.example https}",
            ),
            (&[("x-forwarded-proto", "gopher")], "&{localhost:8080  http}"),
        ] {
            let mut map = HeaderMap::new();
            for &(name, value) in headers {
                map.insert(name, HeaderValue::from_static(value));
            }
            let Origin { instance_host, public_host, scheme } =
                Origin::forwarded(&map, "localhost:8080", "http");
            assert_eq!(format!("&{{{instance_host} {public_host} {scheme}}}"), want);
        }
    }

    #[test]
    fn ports() {
        for (host, want) in [("a", "a"), ("a:80", "a"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", "")] {
            assert_eq!(without_port(host), want);
        }
    }
}
