//! The `metagate` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use metagate::{accounts, config::Flags, parity, serve, store};

#[global_allocator]
static ALLOCATOR: allocator::MiMalloc = allocator::MiMalloc;

/// ZITADEL's organization-metadata API on one port, in every encoding its clients speak: REST/JSON, gRPC, gRPC-Web
/// (binary and text) and Connect.
///
/// Without a command, `serve` with its defaults: a durable store and a development directory in ./metagate-data, and
/// lines to paste on stdout.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT; read settings and directory again at SIGHUP.
    ///
    /// Each setting can be given as a flag, as an environment variable or in a TOML file; a flag counts before the
    /// environment, the environment before the file, the file before the default.
    Serve(Box<Flags>),
    /// Look after a store: check, back up, export, import, copy.
    ///
    /// Works on what `--storage` names, also while it is being served. Says what it did on stdout, with `--json` as one JSON
    /// object; what went wrong is one line on stderr, and exit code 1.
    Store(Box<store::Arguments>),
    /// Users: add, list, remove, deactivate, lock, reactivate.
    ///
    /// These commands, and those for tokens, keys, secrets, members, organizations and signing keys, work on the store that `--storage`
    /// names, also while it is being served: each gateway sees the change with its next call.
    User(Box<accounts::User>),
    /// Personal access tokens of users: create, list, revoke.
    Token(Box<accounts::Token>),
    /// Keys by which users log in: create, list, remove.
    Key(Box<accounts::Key>),
    /// Secrets by which users log in: create, remove.
    Secret(Box<accounts::Secret>),
    /// Roles of users: add, remove.
    Member(Box<accounts::Member>),
    /// Keys that sign access tokens: list, rotate.
    SigningKey(Box<accounts::SigningKey>),
    /// Organizations: add, list, deactivate, reactivate, remove.
    Org(Box<accounts::Organization>),
    /// Test whether a server, this one or any other, answers the same in every encoding.
    ///
    /// Exit code 0 if it does, 1 if not, 2 if it could not be found out.
    Parity(Box<parity::Arguments>),
}

fn main() -> ExitCode {
    allocator::give_back_soon();
    let command = Cli::parse().command.unwrap_or_else(|| Command::Serve(Box::default()));
    match start(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("metagate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Serve(flags) => runtime.block_on(serve::run(*flags))?,
        Command::Store(arguments) => runtime.block_on(store::run(*arguments))?,
        Command::User(arguments) => runtime.block_on(arguments.run())?,
        Command::Token(arguments) => runtime.block_on(arguments.run())?,
        Command::Key(arguments) => runtime.block_on(arguments.run())?,
        Command::Secret(arguments) => runtime.block_on(arguments.run())?,
        Command::Member(arguments) => runtime.block_on(arguments.run())?,
        Command::SigningKey(arguments) => runtime.block_on(arguments.run())?,
        Command::Org(arguments) => runtime.block_on(arguments.run())?,
        Command::Parity(arguments) => return Ok(runtime.block_on(parity::run(*arguments))),
    }
    Ok(ExitCode::SUCCESS)
}
