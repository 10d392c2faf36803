//! Settings: from flags, the environment and a file, in this order; else the default.

mod flags;
mod sources;
mod values;

use std::{collections::BTreeMap, env, fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use ipnet::IpNet;
use secrecy::ExposeSecret;
use storage_postgres::Address;

pub use flags::Flags;
pub(crate) use flags::StoreFlags;
use sources::{File, Sources};

use crate::{front::Limits, logging::LogFormat};

/// The settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; there is at least one.
    pub listen: Vec<Listen>,
    /// Which store to use.
    pub storage: Storage,
    /// How a PostgreSQL database is used.
    pub postgres: storage_postgres::Settings,
    /// The directory file; without it, a development directory.
    pub directory: Option<PathBuf>,
    /// The PEM file of the server's certificate, with TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The PEM file of its private key, with TLS.
    pub tls_key: Option<PathBuf>,
    /// The PEM file of what certificates of clients must lead to; without it, anybody may connect.
    pub tls_client_ca: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least severe lines that are logged.
    pub log_level: tracing::Level,
    /// How long the server is said not to be ready before it takes no more connections.
    pub drain_delay: Duration,
    /// How long requests in flight are waited for at the end.
    pub drain: Duration,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// What the server is known by, `scheme://host[:port]`; `None`: what each request says.
    pub external_url: Option<String>,
    /// How often a peer may fail to say who it is, in a minute.
    pub failed_logins: u32,
    /// By full name of a service: its largest request message, in bytes.
    pub message_bytes_max: BTreeMap<String, usize>,
    /// Whether JSON is refused that says what its message does not know.
    pub strict_json: bool,
    /// What peers may use.
    pub limits: Limits,
}

/// A guess each tenth of a second.
const FAILED_LOGINS_PER_MINUTE: u32 = 600;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A port of an address.
    Address(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
    /// All sockets that were passed on by who started the process (sd_listen_fds(3)).
    Inherited,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited => f.write_str("systemd:"),
        }
    }
}

/// Where metadata lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, until the process ends.
    Memory,
    /// In a SQLite file.
    Sqlite(PathBuf),
    /// In a PostgreSQL database.
    Postgres(Address),
}

/// As in the setting `storage`; an error says what is allowed.
impl FromStr for Storage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Postgres),
            _ => Err("`sqlite:PATH`, `postgres://…` or `memory:`".to_owned()),
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

/// A setting that cannot be used: which, where it came from, and what is allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        Self::from_sources(flags, |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_sources(flags: Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let file = match flags.config.or_else(|| env("METAGATE_CONFIG").filter(|path| !path.is_empty())) {
            Some(path) => File::read(&path)?,
            None => File::default(),
        };
        let mut sources = Sources { env: &env, file };
        let (defaults, postgres) = (Limits::default(), storage_postgres::Settings::default());
        let config = Self {
            listen: sources.setting("listen", flags.listen, "127.0.0.1:8080", values::listen)?,
            storage: sources.setting(
                "storage",
                flags.storage.map(|url| url.expose_secret().to_owned()),
                "sqlite:metagate-data/metagate.db",
                str::parse,
            )?,
            postgres: storage_postgres::Settings {
                connections: sources.limit(
                    "postgres-connections-max",
                    flags.postgres_connections_max,
                    postgres.connections,
                )?,
                wait: sources.wait("postgres-wait-seconds", flags.postgres_wait_seconds, postgres.wait)?,
                statement_wait: sources.wait(
                    "postgres-statement-seconds",
                    flags.postgres_statement_seconds,
                    postgres.statement_wait,
                )?,
            },
            directory: sources.setting("directory", flags.directory, "", values::path)?,
            tls_certificate: sources.setting("tls-certificate", flags.tls_certificate, "", values::path)?,
            tls_key: sources.setting("tls-key", flags.tls_key, "", values::path)?,
            tls_client_ca: sources.setting("tls-client-ca", flags.tls_client_ca, "", values::path)?,
            log_format: sources.setting("log-format", flags.log_format, "text", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("`text` or `json`".to_owned()),
            })?,
            log_level: sources.setting("log-level", flags.log_level, "info", |text| {
                text.parse().map_err(|_| "`error`, `warn`, `info`, `debug` or `trace`".to_owned())
            })?,
            drain_delay: sources.setting(
                "drain-delay-seconds",
                flags.drain_delay_seconds,
                "0",
                values::seconds,
            )?,
            drain: sources.setting("drain-seconds", flags.drain_seconds, "30", values::seconds)?,
            trusted_proxies: sources.setting(
                "trusted-proxies",
                flags.trusted_proxies,
                "127.0.0.0/8,::1/128",
                values::networks,
            )?,
            external_url: sources.setting("external-url", flags.external_url, "", values::origin)?,
            failed_logins: sources.limit(
                Limits::FAILED_LOGINS,
                flags.failed_logins_per_minute,
                FAILED_LOGINS_PER_MINUTE,
            )?,
            message_bytes_max: sources.setting(
                Limits::MESSAGE_BYTES,
                flags.message_bytes_max,
                "",
                values::limits,
            )?,
            strict_json: sources.setting("strict-json", flags.strict_json, "false", |text| {
                text.parse().map_err(|_| "`true` or `false`".to_owned())
            })?,
            limits: Limits {
                connections: sources.limit(
                    Limits::CONNECTIONS,
                    flags.connections_max,
                    defaults.connections,
                )?,
                streams: sources.limit(Limits::STREAMS, flags.streams_max, defaults.streams)?,
                headers_bytes: sources.limit(
                    Limits::HEADERS_BYTES,
                    flags.headers_bytes_max,
                    defaults.headers_bytes,
                )?,
                bodies_bytes: sources.limit(
                    Limits::BODIES_BYTES,
                    flags.bodies_bytes_max,
                    defaults.bodies_bytes,
                )?,
                reply_bytes: sources.limit(
                    Limits::REPLY_BYTES,
                    flags.reply_bytes_max,
                    defaults.reply_bytes,
                )?,
                unsent_bytes: sources.limit(
                    Limits::UNSENT_BYTES,
                    flags.unsent_bytes_max,
                    defaults.unsent_bytes,
                )?,
                head_wait: sources.wait(Limits::HEAD_WAIT, flags.head_seconds, defaults.head_wait)?,
                idle: sources.wait(Limits::IDLE, flags.idle_seconds, defaults.idle)?,
                body_wait: sources.wait(Limits::BODY_WAIT, flags.body_seconds, defaults.body_wait)?,
                reply_wait: sources.wait(Limits::REPLY_WAIT, flags.reply_seconds, defaults.reply_wait)?,
            },
        };
        sources.file.finish()?;
        Ok(config)
    }

    /// Takes from `running` what only a restart can change: where to listen, the store, the form of log lines, and
    /// whether there is a directory file. Returns the names of those that differed.
    pub fn keep_fixed(&mut self, running: &Self) -> Vec<&'static str> {
        let mut kept = Vec::new();
        keep("listen", &mut self.listen, &running.listen, &mut kept);
        keep("storage", &mut self.storage, &running.storage, &mut kept);
        keep("postgres-…", &mut self.postgres, &running.postgres, &mut kept);
        // Who is shut out by a new directory should not find a development directory's owner in their place.
        if self.directory.is_none() {
            keep("directory", &mut self.directory, &running.directory, &mut kept);
        }
        keep("log-format", &mut self.log_format, &running.log_format, &mut kept);
        kept
    }
}

/// Takes the value that runs, and notes whether it is another.
fn keep<T: Clone + PartialEq>(name: &'static str, value: &mut T, running: &T, kept: &mut Vec<&'static str>) {
    if value != running {
        value.clone_from(running);
        kept.push(name);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(flags: Flags, env: &[(&str, &str)]) -> Result<Config, String> {
        let value =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Config::from_sources(flags, value).map_err(|error| error.to_string())
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, Flags) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let config = Some(file.path().display().to_string());
        (file, Flags { config, ..Flags::default() })
    }

    #[test]
    fn flag_before_environment_before_file_before_default() {
        let port = |flags, env: &[(&str, &str)]| match load(flags, env).unwrap().listen[..] {
            [Listen::Address(address)] => address.port(),
            ref other => panic!("{other:?}"),
        };
        let (_file, in_file) = file("listen = \"127.0.0.1:3\"\n");
        let env = [("METAGATE_LISTEN", "127.0.0.1:2")];
        assert_eq!(port(Flags { listen: Some("127.0.0.1:1".to_owned()), ..in_file.clone() }, &env), 1);
        assert_eq!(port(in_file.clone(), &env), 2);
        assert_eq!(port(in_file, &[]), 3);
        assert_eq!(port(Flags::default(), &[]), 8080);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_what_is_allowed() {
        let flags = Flags { listen: Some("nowhere".to_owned()), ..Flags::default() };
        let error = load(flags, &[]).unwrap_err();
        assert!(
            error.starts_with("--listen: \"nowhere\" is not allowed; allowed is a list of places"),
            "{error}"
        );
        for (name, value) in [
            ("METAGATE_STORAGE", "postgres:x"),
            ("METAGATE_STORAGE", "sqlite:"),
            ("METAGATE_STORAGE", "memory:x"),
            ("METAGATE_LOG_FORMAT", "xml"),
            ("METAGATE_LOG_LEVEL", "loud"),
            ("METAGATE_DRAIN_SECONDS", "-1"),
            ("METAGATE_TRUSTED_PROXIES", "10.0.0.0/33"),
            ("METAGATE_EXTERNAL_URL", "localhost:8080"),
            ("METAGATE_EXTERNAL_URL", "https://a.example/"),
            ("METAGATE_MESSAGE_BYTES_MAX", "x"),
            ("METAGATE_REPLY_BYTES_MAX", "0"),
            ("METAGATE_LISTEN", ""),
        ] {
            let error = load(Flags::default(), &[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: {value:?} is not allowed; allowed is ")), "{error}");
        }
    }

    #[test]
    fn a_file_is_checked_with_line_and_column() {
        for (text, want) in [
            ("\nlog-format = \"xml\"\n", ":2:1: log-format: \"xml\" is not allowed"),
            ("x = 1\n", ":1:1: there is no setting \"x\""),
            ("listen = 1.5\n", ":1:1: listen is a string, a whole number or a boolean, not a float"),
            ("drain-seconds = \n", ":1:"),
        ] {
            let (file, flags) = file(text);
            let error = load(flags, &[]).unwrap_err();
            assert!(error.starts_with(&format!("{}{want}", file.path().display())), "{error}");
        }
        let error =
            load(Flags { config: Some("/nowhere.toml".to_owned()), ..Flags::default() }, &[]).unwrap_err();
        assert!(error.starts_with("/nowhere.toml: "), "{error}");
    }

    #[test]
    fn what_only_a_restart_can_change_is_kept() {
        let setting = |text: &str| {
            let (_file, flags) = file(text);
            load(flags, &[]).unwrap()
        };
        let running = setting("directory = \"a\"\n");
        for (text, kept) in [
            ("directory = \"a\"\nlisten = \"127.0.0.1:1\"\n", &["listen"][..]),
            ("directory = \"a\"\nstorage = \"memory:\"\n", &["storage"]),
            ("directory = \"a\"\nlog-format = \"json\"\n", &["log-format"]),
            ("", &["directory"]),
            ("directory = \"a\"\n", &[]),
        ] {
            let mut next = setting(text);
            assert_eq!(next.keep_fixed(&running), kept, "{text}");
            assert_eq!(next, running, "{text}");
        }
        for text in [
            "directory = \"b\"\n",
            "directory = \"a\"\nlog-level = \"warn\"\n",
            "directory = \"a\"\ndrain-seconds = 1\n",
            "directory = \"a\"\ntrusted-proxies = \"\"\n",
            "directory = \"a\"\nmessage-bytes-max = \"a=1\"\n",
            "directory = \"a\"\nreply-bytes-max = 1\n",
        ] {
            let mut next = setting(text);
            assert!(next.keep_fixed(&running).is_empty(), "{text}");
            assert_eq!(next, setting(text), "{text}");
        }
    }

    #[test]
    fn what_is_printed_for_debugging_has_no_password() {
        let storage = Some("postgres://user:sesame@host/db".into());
        let flags = Flags { storage, ..Flags::default() };
        let printed = format!("{flags:?} {:?}", load(flags.clone(), &[]).unwrap());
        assert!(printed.contains("REDACTED") && printed.contains("user@host"), "{printed}");
        assert!(!printed.contains("sesame"), "{printed}");
    }

    #[test]
    fn values() {
        let (_file, flags) = file("drain-seconds = 5\ntrusted-proxies = \"10.0.0.7, 10.1.0.0/16\"\n");
        let config =
            load(flags, &[("METAGATE_STORAGE", "memory:"), ("METAGATE_MESSAGE_BYTES_MAX", "a=1,b=2")])
                .unwrap();
        assert_eq!(config.drain, Duration::from_secs(5));
        assert_eq!(config.storage, Storage::Memory);
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.message_bytes_max["b"], 2);
        let listen = Some("127.0.0.1:1, [::1]:2,unix:/run/metagate.sock,systemd:".to_owned());
        let places = load(Flags { listen, ..Flags::default() }, &[]).unwrap().listen;
        let written = places.iter().map(Listen::to_string).collect::<Vec<_>>();
        assert_eq!(written, ["127.0.0.1:1", "[::1]:2", "unix:/run/metagate.sock", "systemd:"]);
        let (_file, flags) = file("listen = [\"127.0.0.1:1\", \"[::1]:2\"]\nstrict-json = true\n");
        let config = load(flags, &[]).unwrap();
        assert_eq!((&config.listen[..], config.strict_json), (&places[..2], true));
        assert_eq!(
            load(Flags::default(), &[]).unwrap().storage.to_string(),
            "sqlite:metagate-data/metagate.db"
        );
    }
}
