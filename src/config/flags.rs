//! What can be said on the command line.

use clap::Args;
use secrecy::SecretString;

/// What `metagate serve` can be told; each also as `METAGATE_…` in the environment, and in the file of `--config`.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// TOML file with settings, named as the flags are: `log-format = "json"` [env: METAGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Where to listen, separated by commas: `ADDRESS:PORT` (port 0 takes a free one), `unix:PATH`, or `systemd:` for
    /// the sockets that were passed on [env: METAGATE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "PLACES")]
    pub listen: Option<String>,
    /// Where metadata lives: `sqlite:PATH`, `postgres://USER@HOST/DATABASE` (with the options of libpq), or `memory:` to
    /// lose it with the process [env: METAGATE_STORAGE] [default: sqlite:metagate-data/metagate.db]
    #[arg(long, value_name = "URL")]
    pub storage: Option<SecretString>,
    /// Open connections to PostgreSQL, at most [env: METAGATE_POSTGRES_CONNECTIONS_MAX] [default: 16]
    #[arg(long, value_name = "COUNT")]
    pub postgres_connections_max: Option<String>,
    /// Seconds that a call waits for one of them, or tries again what was certainly not done, before it is UNAVAILABLE
    /// [env: METAGATE_POSTGRES_WAIT_SECONDS] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub postgres_wait_seconds: Option<String>,
    /// Seconds that PostgreSQL may take for a statement, before its call is UNAVAILABLE
    /// [env: METAGATE_POSTGRES_STATEMENT_SECONDS] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub postgres_statement_seconds: Option<String>,
    /// TOML file of organizations, users, tokens and memberships; without it, a development directory is made next to
    /// the store [env: METAGATE_DIRECTORY]
    #[arg(long, value_name = "FILE")]
    pub directory: Option<String>,
    /// What clients know the server by, `https://HOST[:PORT]`: who issues its tokens. Without it, whatever each request
    /// says [env: METAGATE_EXTERNAL_URL]
    #[arg(long, value_name = "URL")]
    pub external_url: Option<String>,
    /// Authentications that may fail in a minute, of one peer (or of whom a trusted proxy names); then it is told to come later
    /// [env: METAGATE_FAILED_LOGINS_PER_MINUTE] [default: 600]
    #[arg(long, value_name = "COUNT")]
    pub failed_logins_per_minute: Option<String>,
    /// PEM file of the server's certificate and those that lead to its root; with it and the key, TLS only
    /// [env: METAGATE_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// PEM file of the certificate's private key [env: METAGATE_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// PEM file of certificates: only who has one that leads to one of these may connect, if there is TLS
    /// [env: METAGATE_TLS_CLIENT_CA]
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<String>,
    /// How log lines look on stderr: `text` or `json` [env: METAGATE_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// The least severe lines that are logged: `error`, `warn`, `info`, `debug` or `trace`
    /// [env: METAGATE_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Seconds between `/debug/ready` turning red and the first connection that is refused, when the server is told to
    /// stop [env: METAGATE_DRAIN_DELAY_SECONDS] [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub drain_delay_seconds: Option<String>,
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
    /// Open connections, of all peers; one more is closed at once [env: METAGATE_CONNECTIONS_MAX] [default: 16384]
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

/// What commands can be told that work on a store.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreFlags {
    /// TOML file with settings, as `metagate serve` has it [env: METAGATE_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<String>,
    /// The store, as `metagate serve` has it [env: METAGATE_STORAGE] [default: sqlite:metagate-data/metagate.db]
    #[arg(long, value_name = "URL", global = true)]
    storage: Option<SecretString>,
    /// Say what was done as one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

impl From<StoreFlags> for Flags {
    fn from(StoreFlags { config, storage, .. }: StoreFlags) -> Self {
        Self { config, storage, ..Self::default() }
    }
}
