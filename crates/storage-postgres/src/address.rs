//! Where the database is: a libpq URL, and what it says of TLS.

use std::{fmt, fs, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use percent_encoding::percent_decode_str;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;

/// The database's address: `postgres://…`, with libpq's options as far as tokio-postgres knows them, and `sslrootcert`,
/// `sslcert`, `sslkey`, each the path of a PEM file.
///
/// A server's certificate is always verified, by name too, where TLS is used: `sslmode` is `disable`, `prefer` or
/// `require`; `verify-ca` and `verify-full` mean `require`. Without `sslrootcert` the system's roots count. Of several
/// hosts the one is taken that takes writes, unless `target_session_attrs` says otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    config: Box<Config>,
    root_certificates: Option<PathBuf>,
    /// A certificate of our own, and its key.
    identity: Option<(PathBuf, PathBuf)>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut root_certificates, mut certificate, mut key) = (None, None, None);
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        let mut kept = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let path = |value: &str| Some(PathBuf::from(&*percent_decode_str(value).decode_utf8_lossy()));
            match option.split_once('=') {
                Some(("sslrootcert", value)) => root_certificates = path(value),
                Some(("sslcert", value)) => certificate = path(value),
                Some(("sslkey", value)) => key = path(value),
                Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
                _ => kept.push(option),
            }
        }
        let identity = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err("sslcert and sslkey go together".to_owned()),
        };
        let url = if kept.is_empty() { place.to_owned() } else { format!("{place}?{}", kept.join("&")) };
        // The error may hold what was given, and with it a password.
        let mut config: Config = url.parse().map_err(|_| {
            "a libpq URL such as postgres://user@host/database, with options that are known".to_owned()
        })?;
        if config.get_hosts().is_empty() {
            return Err("a host, such as postgres://user@host/database".to_owned());
        }
        match config.get_hosts().iter().filter(|host| matches!(host, Host::Unix(_))).count() {
            0 => {}
            // A socket of this machine has no name to verify, and nobody between (libpq, "sslmode").
            sockets if sockets == config.get_hosts().len() => {
                config.ssl_mode(SslMode::Disable);
            }
            _ => return Err("hosts, or sockets, and not both".to_owned()),
        }
        if !kept.iter().any(|option| option.starts_with("target_session_attrs=")) {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        // A host may be gone without a word.
        if !kept.iter().any(|option| option.starts_with("keepalives")) {
            config.keepalives_idle(Duration::from_secs(15));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(30));
        }
        if config.get_application_name().is_none() {
            config.application_name("metagate");
        }
        Ok(Self { text: without_password(text), config: config.into(), root_certificates, identity })
    }
}

impl Address {
    /// How to connect.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How to make a connection secret; `None` if it shall not be.
    pub(crate) fn tls(&self) -> Result<Option<MakeRustlsConnect>, OpenError> {
        if self.config.get_ssl_mode() == SslMode::Disable {
            return Ok(None);
        }
        let wrong = |what: &str, error: &dyn fmt::Display| OpenError::Address(format!("{what}: {error}"));
        let mut roots = RootCertStore::empty();
        match &self.root_certificates {
            Some(path) => {
                let pem = fs::read(path).map_err(|error| wrong(&path.display().to_string(), &error))?;
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let certificate = certificate.map_err(|error| wrong("sslrootcert", &error))?;
                    roots.add(certificate).map_err(|error| wrong("sslrootcert", &error))?;
                }
                if roots.is_empty() {
                    return Err(wrong("sslrootcert", &"no certificate in the file"));
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", &error))?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let read = |path: &PathBuf| {
                    fs::read(path).map_err(|error| wrong(&path.display().to_string(), &error))
                };
                let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| wrong("sslcert", &error))?;
                let key =
                    PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| wrong("sslkey", &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| wrong("sslcert", &error))?
            }
        };
        Ok(Some(MakeRustlsConnect::new(config)))
    }
}

/// The address as it was given, without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL without its password, to be shown; also one that is none, as its password may be what makes it so. Any other text
/// as it is.
pub fn without_password(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = text.split_at(start);
    // A password may hold any sign that should have been escaped.
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (user.split([':', '/', '?']).next().map(|user| format!("{user}@")), place),
        None => (None, rest),
    };
    let (place, options) = place.split_once('?').unwrap_or((place, ""));
    let is_shown = |option: &&str| {
        let name = option.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy().to_lowercase();
        !option.is_empty() && !name.contains("password")
    };
    let options: Vec<_> = options.split('&').filter(is_shown).collect();
    let options = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
    format!("{scheme}{}{place}{options}", user.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, want) in [
            ("postgres://me@host/db", Ok("postgres://me@host/db")),
            ("postgresql://me:secret@host:5433/db", Ok("postgresql://me@host:5433/db")),
            (
                "postgres://me:se%40:cret@h1,h2:2/db?sslmode=verify-full",
                Ok("postgres://me@h1,h2:2/db?sslmode=verify-full"),
            ),
            ("postgres:///db?host=/run/pg&password=secret", Ok("postgres:///db?host=/run/pg")),
            (
                "postgres://me@host/db?sslrootcert=/a%20b.pem",
                Ok("postgres://me@host/db?sslrootcert=/a%20b.pem"),
            ),
            ("postgres:///db", Err("a host")),
            ("postgres://host,%2Frun%2Fpg/db", Err("not both")),
            ("postgres://me@host/db?sslcert=a", Err("go together")),
            ("postgres://me:secret@host/db?colour=red", Err("options that are known")),
            ("postgres://me:secret@host:port/db", Err("a libpq URL")),
        ] {
            match (text.parse::<Address>(), want) {
                (Ok(address), Ok(want)) => assert_eq!(address.to_string(), want),
                (Err(error), Err(want)) => {
                    assert!(error.contains(want), "{text}: {error}");
                    assert!(!error.contains("secret"), "{error}");
                }
                (got, want) => panic!("{text}: {got:?}, want {want:?}"),
            }
        }
    }

    #[test]
    fn what_is_shown_has_no_password() {
        for (text, want) in [
            ("postgres://me:secret@host/db", "postgres://me@host/db"),
            ("postgres://me:a/b?c@d:secret@host/db", "postgres://me@host/db"),
            ("postgres:me:secret@host/db", "postgres@host/db"),
            ("postgres:/me:secret@host/db", "postgres@host/db"),
            ("me:secret@host", "me@host"),
            (":secret@", "@"),
            ("h/db?password=secret&a=b", "h/db?a=b"),
            ("h/db?Pass%77ord=secret", "h/db"),
            ("postgres://host:1/db?a=b", "postgres://host:1/db?a=b"),
            ("sqlite:a:b.db", "sqlite:a:b.db"),
        ] {
            assert_eq!(without_password(text), want, "{text}");
        }
    }

    #[test]
    fn who_takes_writes_is_looked_for_unless_said_otherwise() {
        let attributes = |text: &str| text.parse::<Address>().unwrap().config.get_target_session_attrs();
        assert_eq!(attributes("postgres://a,b/db"), TargetSessionAttrs::ReadWrite);
        assert_eq!(attributes("postgres://a,b/db?target_session_attrs=any"), TargetSessionAttrs::Any);
    }

    #[test]
    fn paths_are_decoded() {
        let address: Address = "postgres://h/db?sslrootcert=/a%20b+c.pem".parse().unwrap();
        assert_eq!(address.root_certificates, Some("/a b+c.pem".into()));
        assert!(address.tls().err().unwrap().to_string().contains("/a b+c.pem"));
    }
}
