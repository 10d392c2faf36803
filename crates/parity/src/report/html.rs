//! For people who look closer: one page that needs nothing else, with the matrix, filters, and every byte.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    Report, Summary, json_lines, repro, shown_header,
    words::{Words, words},
};
use crate::{
    encoding,
    exchange::Exchange,
    run::{Cell, Judged, ScenarioReport},
    scenario::Step,
};

/// Style, script, and a place for the data.
const PAGE: &str = include_str!("page.html");

/// Where the data goes.
const PLACE: &str = "{/*data*/}";

/// Longer bodies are cut.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A report as a page.
pub struct Html<W> {
    out: W,
    title: String,
    dialects: Vec<String>,
    scenarios: Vec<Value>,
}

impl<W: Write> Html<W> {
    /// A page to `out`, written at the end.
    pub fn new(out: W, title: impl Into<String>, dialects: &[crate::dialect::Dialect]) -> Self {
        let dialects = dialects.iter().map(ToString::to_string).collect();
        Self { out, title: title.into(), dialects, scenarios: Vec::new() }
    }
}

fn finding(judged: &Judged) -> Value {
    let runs = judged.finding.values.as_ref().map(|(want, got)| {
        let runs = words(want, got).into_iter().map(|run| match run {
            Words::Same(text) => json!(["same", text]),
            Words::Missing(text) => json!(["missing", text]),
            Words::Extra(text) => json!(["extra", text]),
        });
        runs.collect::<Vec<_>>()
    });
    json!({
        "rule": judged.finding.rule,
        "meaning": judged.finding.rule.meaning(),
        "text": judged.finding.text,
        "words": runs,
        "known": judged.known,
    })
}

fn headers(headers: &HeaderMap) -> Vec<Value> {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), shown_header(name.as_str(), value.as_bytes())]))
        .collect()
}

fn body(bytes: &[u8]) -> Value {
    let shown = &bytes[..bytes.len().min(BODY_BYTES_MAX)];
    json!({"base64": STANDARD.encode(shown), "bytes": bytes.len()})
}

fn exchange(step: &Step, cell: &Cell, exchange: &Exchange) -> Value {
    let request = &exchange.request;
    let answer = match &exchange.answer {
        Ok(answer) => json!({
            "line": format!("HTTP {}", answer.status),
            "headers": headers(&answer.headers),
            "body": body(&answer.body),
            "trailers": headers(&answer.trailers),
            "frame": encoding::trailers_in_body(cell.dialect.encoding, answer),
            "microseconds": answer.took.as_micros() as u64,
        }),
        Err(error) => json!({ "error": error }),
    };
    json!({
        "request": {
            "line": format!("{} {}{}", request.http_method, exchange.origin, request.path),
            "headers": headers(&request.headers),
            "body": body(&request.body),
        },
        "answer": answer,
        "repro": repro(step, cell.dialect, exchange),
    })
}

fn cell(step: &Step, cell: &Cell) -> Value {
    json!({
        "state": json_lines::name(cell.state()),
        "skipped": cell.skipped,
        "findings": cell.findings.iter().map(finding).collect::<Vec<_>>(),
        "message": cell.message,
        "document": cell.document,
        "exchange": cell.exchange.as_ref().map(|sent| exchange(step, cell, sent)),
    })
}

impl<W: Write> Report for Html<W> {
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()> {
        let steps = report.steps().map(|(step, reported)| {
            json!({
                "name": step.name,
                "rpc": step.method.full_name(),
                "place": format!("{}:{}", report.scenario.file.display(), step.line),
                "cells": reported.cells.iter().map(|reported| cell(step, reported)).collect::<Vec<_>>(),
            })
        });
        self.scenarios.push(json!({"name": report.scenario.name, "steps": steps.collect::<Vec<_>>()}));
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let data = json!({
            "title": self.title,
            "summary": summary.to_string(),
            "dialects": self.dialects,
            "scenarios": self.scenarios,
        });
        // Nothing in the data may end the script that it stands in.
        let data = data.to_string().replace('<', "\\u003c");
        let (before, behind) = PAGE.split_once(PLACE).unwrap_or((PAGE, ""));
        write!(self.out, "{before}{data}{behind}")?;
        self.out.flush()
    }
}
