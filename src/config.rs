//! Settings: from flags, the environment and a file, in this order; else the default.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::Args;
use ipnet::IpNet;

use crate::{front::Limits, logging::LogFormat};

/// What `metagate serve` can be told; each also as `METAGATE_…` in the environment, and in the file of `--config`.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// TOML file with settings, named as the flags are: `log-format = "json"` [env: METAGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Address and port to listen on; port 0 takes a free one [env: METAGATE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Where metadata lives: `sqlite:PATH`, or `memory:` to lose it with the process
    /// [env: METAGATE_STORAGE] [default: sqlite:metagate-data/metagate.db]
    #[arg(long, value_name = "URL")]
    pub storage: Option<String>,
    /// TOML file of organizations, users, tokens and memberships; without it, a development directory is made next to
    /// the store [env: METAGATE_DIRECTORY]
    #[arg(long, value_name = "FILE")]
    pub directory: Option<String>,
    /// PEM file of the server's certificate and those that lead to its root; with it and the key, TLS only
    /// [env: METAGATE_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// PEM file of the certificate's private key [env: METAGATE_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// How log lines look on stderr: `text` or `json` [env: METAGATE_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// The least severe lines that are logged: `error`, `warn`, `info`, `debug` or `trace`
    /// [env: METAGATE_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Seconds that requests in flight get when the server is told to stop
    /// [env: METAGATE_DRAIN_SECONDS] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub drain_seconds: Option<String>,
    /// Peers whose forwarding headers count, as addresses or networks, separated by commas
    /// [env: METAGATE_TRUSTED_PROXIES] [default: 127.0.0.0/8,::1/128]
    #[arg(long, value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// Largest request message of a service, in bytes of protobuf, as SERVICE=BYTES, separated by commas
    /// [env: METAGATE_MESSAGE_BYTES_MAX] [default: as the protos say: 4 MiB for v1, 16 MiB for v2 and v2beta]
    #[arg(long, value_name = "LIMITS")]
    pub message_bytes_max: Option<String>,
    /// Refuse JSON with unknown fields, unknown names of enum values, or anything behind the message, instead of
    /// ignoring it as ZITADEL does [env: METAGATE_STRICT_JSON] [default: false]
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, default_missing_value = "true")]
    pub strict_json: Option<String>,
    /// Largest response message, in bytes of protobuf [env: METAGATE_REPLY_BYTES_MAX] [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub reply_bytes_max: Option<String>,
    /// Open connections, of all peers; one more is closed at once [env: METAGATE_CONNECTIONS_MAX] [default: 20000]
    #[arg(long, value_name = "CONNECTIONS")]
    pub connections_max: Option<String>,
    /// Calls at once on one HTTP/2 connection [env: METAGATE_STREAMS_MAX] [default: 250]
    #[arg(long, value_name = "CALLS")]
    pub streams_max: Option<String>,
    /// Largest headers of a request, all together, in bytes [env: METAGATE_HEADERS_BYTES_MAX] [default: 65536]
    #[arg(long, value_name = "BYTES")]
    pub headers_bytes_max: Option<String>,
    /// Bytes of the bodies of all requests that are held at once; the first 64 KiB of each are always taken
    /// [env: METAGATE_BODIES_BYTES_MAX] [default: 268435456]
    #[arg(long, value_name = "BYTES")]
    pub bodies_bytes_max: Option<String>,
    /// Bytes of replies that may wait for a peer on one connection before its further calls wait too
    /// [env: METAGATE_UNSENT_BYTES_MAX] [default: 4194304]
    #[arg(long, value_name = "BYTES")]
    pub unsent_bytes_max: Option<String>,
    /// Seconds that a peer may take for the handshake of TLS, for the first bytes of a connection, and for the head of
    /// an HTTP/1.1 request [env: METAGATE_HEAD_SECONDS] [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub head_seconds: Option<String>,
    /// Seconds that a connection is kept without a request [env: METAGATE_IDLE_SECONDS] [default: 180]
    #[arg(long, value_name = "SECONDS")]
    pub idle_seconds: Option<String>,
    /// Seconds that a peer may take for the next 16 KiB of a body, or its end
    /// [env: METAGATE_BODY_SECONDS] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub body_seconds: Option<String>,
    /// Seconds that a peer may leave a reply where it is [env: METAGATE_REPLY_SECONDS] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub reply_seconds: Option<String>,
}

/// The settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Which store to use.
    pub storage: Storage,
    /// The directory file; without it, a development directory.
    pub directory: Option<PathBuf>,
    /// The PEM file of the server's certificate, with TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The PEM file of its private key, with TLS.
    pub tls_key: Option<PathBuf>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least severe lines that are logged.
    pub log_level: tracing::Level,
    /// How long requests in flight are waited for at the end.
    pub drain: Duration,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// By full name of a service: its largest request message, in bytes.
    pub message_bytes_max: BTreeMap<String, usize>,
    /// Whether JSON is refused that says what its message does not know.
    pub strict_json: bool,
    /// What peers may use.
    pub limits: Limits,
}

/// Where metadata lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, until the process ends.
    Memory,
    /// In a SQLite file.
    Sqlite(PathBuf),
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
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
        let defaults = Limits::default();
        let config = Self {
            listen: sources.setting("listen", flags.listen, "127.0.0.1:8080", |text| {
                text.parse()
                    .map_err(|_| "an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
            })?,
            storage: sources.setting(
                "storage",
                flags.storage,
                "sqlite:metagate-data/metagate.db",
                storage,
            )?,
            directory: sources.setting("directory", flags.directory, "", path)?,
            tls_certificate: sources.setting("tls-certificate", flags.tls_certificate, "", path)?,
            tls_key: sources.setting("tls-key", flags.tls_key, "", path)?,
            log_format: sources.setting("log-format", flags.log_format, "text", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("`text` or `json`".to_owned()),
            })?,
            log_level: sources.setting("log-level", flags.log_level, "info", |text| {
                text.parse().map_err(|_| "`error`, `warn`, `info`, `debug` or `trace`".to_owned())
            })?,
            drain: sources.setting("drain-seconds", flags.drain_seconds, "30", |text| {
                let seconds = text.parse::<u32>().map_err(|_| "a whole number of seconds".to_owned())?;
                Ok(Duration::from_secs(seconds.into()))
            })?,
            trusted_proxies: sources.setting(
                "trusted-proxies",
                flags.trusted_proxies,
                "127.0.0.0/8,::1/128",
                networks,
            )?,
            message_bytes_max: sources.setting(Limits::MESSAGE_BYTES, flags.message_bytes_max, "", limits)?,
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

fn path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok(if text.is_empty() { None } else { Some(PathBuf::from(text)) })
}

struct Sources<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    file: File,
}

impl Sources<'_> {
    /// One setting, from where it is first found. `parse` says what is allowed where it fails.
    fn setting<T>(
        &mut self,
        name: &str,
        flag: Option<String>,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let variable = format!("METAGATE_{}", name.replace('-', "_").to_uppercase());
        let in_file = self.file.take(name)?;
        let (value, place) = flag
            .map(|value| (value, format!("--{name}")))
            .or_else(|| (self.env)(&variable).map(|value| (value, variable)))
            .or(in_file)
            .unwrap_or_else(|| (default.to_owned(), format!("the default of {name}")));
        parse(&value).map_err(|allowed| {
            ConfigError(format!("{place}: {value:?} is not allowed; allowed is {allowed}"))
        })
    }
}

impl Sources<'_> {
    /// A limit in whole numbers: bytes, connections.
    fn limit<T: FromStr + ToString + Default + PartialOrd>(
        &mut self,
        name: &str,
        flag: Option<String>,
        default: T,
    ) -> Result<T, ConfigError> {
        self.setting(name, flag, &default.to_string(), above_zero)
    }

    /// A limit in whole seconds.
    fn wait(&mut self, name: &str, flag: Option<String>, default: Duration) -> Result<Duration, ConfigError> {
        self.setting(name, flag, &default.as_secs().to_string(), |text| {
            above_zero::<u32>(text).map(|seconds| Duration::from_secs(seconds.into()))
        })
    }
}

/// The file of `--config`, with what was not asked for yet.
#[derive(Default)]
struct File {
    path: String,
    text: String,
    settings: BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>>,
}

impl File {
    fn read(path: &str) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError(format!("{path}: {error}")))?;
        let mut file = Self { path: path.to_owned(), text, settings: BTreeMap::new() };
        file.settings = toml::from_str(&file.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ConfigError(format!("{}: {}", file.place(offset), error.message().replace('\n', " ")))
        })?;
        Ok(file)
    }

    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or_default();
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("{}:{}:{column}", self.path, before.matches('\n').count() + 1)
    }

    /// The value of a setting as a flag would have it, and its place.
    fn take(&mut self, name: &str) -> Result<Option<(String, String)>, ConfigError> {
        let Some(key) = self.settings.keys().find(|key| key.get_ref() == name).cloned() else {
            return Ok(None);
        };
        let Some(value) = self.settings.remove(&key) else { return Ok(None) };
        let place = self.place(key.span().start);
        let text = match value.get_ref() {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(boolean) => boolean.to_string(),
            other => {
                let kind = other.type_str();
                return Err(ConfigError(format!(
                    "{place}: {name} is a string, a whole number or a boolean, not a {kind}"
                )));
            }
        };
        Ok(Some((text, format!("{place}: {name}"))))
    }

    /// # Errors
    /// If a setting is left that nobody asked for.
    fn finish(&self) -> Result<(), ConfigError> {
        match self.settings.keys().min_by_key(|key| key.span().start) {
            None => Ok(()),
            Some(key) => {
                let place = self.place(key.span().start);
                Err(ConfigError(format!(
                    "{place}: there is no setting {:?}; see metagate serve --help",
                    key.get_ref()
                )))
            }
        }
    }
}

fn storage(text: &str) -> Result<Storage, String> {
    match text.split_once(':') {
        Some(("memory", "")) => Ok(Storage::Memory),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Storage::Sqlite(path.into())),
        _ => Err("`sqlite:PATH` or `memory:`".to_owned()),
    }
}

fn above_zero<T: FromStr + Default + PartialOrd>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number > T::default())
        .ok_or_else(|| "a whole number above 0".to_owned())
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
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

fn limits(text: &str) -> Result<BTreeMap<String, usize>, String> {
    let allowed = "a list such as zitadel.org.v2.OrganizationService=16777216";
    let limit = |text: &str| {
        let (service, limit) = text.split_once('=')?;
        Some((service.trim().to_owned(), above_zero(limit.trim()).ok()?))
    };
    let list =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(limit).collect::<Option<_>>();
    list.ok_or_else(|| allowed.to_owned())
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
        let port = |flags, env: &[(&str, &str)]| load(flags, env).unwrap().listen.port();
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
        assert!(error.starts_with("--listen: \"nowhere\" is not allowed; allowed is an address"), "{error}");
        for (name, value) in [
            ("METAGATE_STORAGE", "postgres:x"),
            ("METAGATE_STORAGE", "sqlite:"),
            ("METAGATE_STORAGE", "memory:x"),
            ("METAGATE_LOG_FORMAT", "xml"),
            ("METAGATE_LOG_LEVEL", "loud"),
            ("METAGATE_DRAIN_SECONDS", "-1"),
            ("METAGATE_TRUSTED_PROXIES", "10.0.0.0/33"),
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
    fn values() {
        let (_file, flags) = file("drain-seconds = 5\ntrusted-proxies = \"10.0.0.7, 10.1.0.0/16\"\n");
        let config =
            load(flags, &[("METAGATE_STORAGE", "memory:"), ("METAGATE_MESSAGE_BYTES_MAX", "a=1,b=2")])
                .unwrap();
        assert_eq!(config.drain, Duration::from_secs(5));
        assert_eq!(config.storage, Storage::Memory);
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.message_bytes_max["b"], 2);
        assert_eq!(
            load(Flags::default(), &[]).unwrap().storage.to_string(),
            "sqlite:metagate-data/metagate.db"
        );
    }
}
