//! Where a run is shown.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::PathBuf,
    str::FromStr,
};

use clap::Args;
use parity::{
    dialect::Dialect,
    report::{Html, JsonLines, Junit, Report, Summary, Terminal},
    run::ScenarioReport,
};

/// What is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// A report besides: html, junit or json, to parity.html, parity.xml, parity.jsonl or to FILE
    #[arg(long = "report", value_name = "KIND[=FILE]")]
    reports: Vec<ReportFile>,
    /// Show the steps of scenarios that passed, too
    #[arg(long)]
    steps: bool,
    /// Show a curl or grpcurl command for each step that failed
    #[arg(long)]
    repro: bool,
}

#[derive(Clone, Debug)]
struct ReportFile {
    kind: Kind,
    file: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Html,
    Junit,
    Json,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, file) = text.split_once('=').map_or((text, None), |(kind, file)| (kind, Some(file)));
        let (kind, default) = match kind {
            "html" => (Kind::Html, "parity.html"),
            "junit" => (Kind::Junit, "parity.xml"),
            "json" => (Kind::Json, "parity.jsonl"),
            _ => return Err("the kinds are html, junit and json".to_owned()),
        };
        Ok(Self { kind, file: file.unwrap_or(default).into() })
    }
}

impl Output {
    /// Opens all reports; the first is stdout.
    pub(super) fn open(&self, title: &str, dialects: &[Dialect]) -> io::Result<Reports> {
        let stdout = BufWriter::new(io::stdout());
        let is_colored = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let terminal = Terminal::new(stdout, dialects.to_vec(), is_colored, self.steps, self.repro);
        let mut all: Vec<Box<dyn Report>> = vec![Box::new(terminal)];
        for ReportFile { kind, file } in &self.reports {
            let failed = |error| io::Error::other(format!("{}: {error}", file.display()));
            let out = BufWriter::new(File::create(file).map_err(failed)?);
            all.push(match kind {
                Kind::Html => Box::new(Html::new(out, title, dialects)),
                Kind::Junit => Box::new(Junit::new(out)),
                Kind::Json => Box::new(JsonLines::new(out)),
            });
        }
        Ok(Reports(all))
    }
}

/// All reports of a run.
pub(super) struct Reports(Vec<Box<dyn Report>>);

impl Report for Reports {
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|each| each.scenario(report))
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|each| each.end(summary))?;
        io::stdout().flush()
    }
}
