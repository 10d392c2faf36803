//! Who may be asked: tokens and secrets are not for others on the way to read, nor keys for them to write.

use std::net::IpAddr;

/// Why a URL is none to ask at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL.
    #[error("this is no URL, such as https://login.example.com")]
    Malformed,
    /// What is said there can be read and changed on the way.
    #[error("only this machine itself is asked by http; all others by https")]
    Unsafe,
}

/// Whether `url` is one to ask at: with `https`, or with `http` on this machine itself.
///
/// # Errors
/// If it is none.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Malformed)?;
    let host = host(rest).ok_or(UrlError::Malformed)?;
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => Err(UrlError::Unsafe),
        _ => Err(UrlError::Malformed),
    }
}

/// The host of a URL without its scheme, if it has the right form.
fn host(rest: &str) -> Option<&str> {
    let authority = rest.split(['/', '?']).next()?;
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !br#"#"<>\^`{|}"#.contains(&byte));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| address.parse::<IpAddr>().is_ok()),
        None => !host.is_empty() && !host.contains(['@', ':', '[', ']']),
    };
    (is_plain && has_port && is_host).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (rest, want) in [
            ("a.example", Some("a.example")),
            ("a.example/", Some("a.example")),
            ("a.example:443/b?c", Some("a.example")),
            ("[::1]:80/b", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a?b", Some("a")),
            ("", None),
            ("/", None),
            (":80", None),
            ("a:", None),
            ("a:b", None),
            ("a:70000", None),
            ("a:1:2", None),
            // Whose host is what follows.
            ("user@a.example", None),
            ("127.0.0.1:80@a.example", None),
            ("[::g]", None),
            ("a b", None),
            ("a/#b", None),
            ("a\\b", None),
            ("ä", None),
        ] {
            assert_eq!(host(rest), want, "{rest:?}");
        }
        for (host, want) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(host), want, "{host:?}");
        }
    }
}
