//! How a line is written: the forms of `tracing-subscriber`, text and flat JSON, without its detours.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
};

use domain::Timestamp;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{LogFormat, sink::Sink};

/// Makes a line of each event.
pub struct Lines {
    format: LogFormat,
    sink: Sink,
}

/// A line in the making, and the second that the line before was of.
#[derive(Default)]
struct Line {
    text: String,
    second: i64,
    /// That second, up to its fraction.
    date: String,
}

thread_local! {
    static LINE: RefCell<Line> = RefCell::default();
}

impl Lines {
    /// Lines that go to `sink`.
    pub fn new(format: LogFormat, sink: Sink) -> Self {
        Self { format, sink }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let write = |line: &mut Line| {
            let now = Timestamp::now();
            line.write(self.format, now, event);
            self.sink.take(now, line.text.as_bytes());
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // A value that is being printed has something to say itself.
            Err(_) => write(&mut Line::default()),
        });
    }
}

impl Line {
    fn write(&mut self, format: LogFormat, now: Timestamp, event: &Event<'_>) {
        self.text.clear();
        match format {
            LogFormat::Text => self.text(now, event),
            LogFormat::Json => self.json(now, event),
        }
        self.text.push('\n');
    }

    /// `2026-01-02T03:04:05.678901Z  INFO metagate::access: request status=200 path="/"`
    fn text(&mut self, now: Timestamp, event: &Event<'_>) {
        self.time(now);
        let line = &mut self.text;
        line.push_str(match *event.metadata().level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        });
        line.push_str(event.metadata().target());
        line.push(':');
        event.record(&mut Text(line));
    }

    /// `{"timestamp":"2026-01-02T03:04:05.678901Z","level":"INFO","message":"request","status":200,"target":"metagate::access"}`
    fn json(&mut self, now: Timestamp, event: &Event<'_>) {
        self.text.push_str("{\"timestamp\":\"");
        self.time(now);
        let line = &mut self.text;
        line.push_str("\",\"level\":\"");
        line.push_str(event.metadata().level().as_str());
        line.push('"');
        event.record(&mut Json(line));
        line.push_str(",\"target\":");
        push_quoted(line, event.metadata().target());
        line.push('}');
    }

    /// In RFC 3339 with microseconds.
    fn time(&mut self, time: Timestamp) {
        let (second, nanos) = time.to_seconds_and_nanos();
        if second != self.second || self.date.is_empty() {
            // The clock of a system is within what a timestamp can be.
            let date = jiff::Timestamp::from_second(second).unwrap_or_default().to_string();
            (self.second, self.date) = (second, date.trim_end_matches('Z').to_owned());
        }
        self.text.push_str(&self.date);
        self.text.push('.');
        let mut digits = itoa::Buffer::new();
        // With a digit before those of the fraction, so that it has all six.
        self.text.push_str(&digits.format(1_000_000 + nanos / 1_000)[1..]);
        self.text.push('Z');
    }
}

struct Text<'a>(&'a mut String);

impl Text<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(' ');
        if field.name() != "message" {
            self.0.push_str(field.name());
            self.0.push('=');
        }
    }
}

impl Visit for Text<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        match (field.name(), is_plain(value)) {
            ("message", true) => self.0.push_str(value),
            ("message", false) => push_in_one_line(self.0, &value),
            (_, true) => {
                self.0.push('"');
                self.0.push_str(value);
                self.0.push('"');
            }
            (_, false) => {
                let _ = write!(self.0, "{value:?}");
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.0.push_str(itoa::Buffer::new().format(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        push_in_one_line(self.0, &format_args!("{value:?}"));
    }
}

struct Json<'a>(&'a mut String);

impl Json<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        self.0.push_str("\":");
    }

    fn number(&mut self, field: &Field, digits: &str) {
        self.name(field);
        self.0.push_str(digits);
    }
}

impl Visit for Json<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_quoted(self.0, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        push_quoted(self.0, &format!("{value:?}"));
    }
}

/// Whether a text stands for itself between quotes.
fn is_plain(text: &str) -> bool {
    // Without an early end, so that it is done for many bytes at once.
    text.bytes().fold(true, |plain, b| plain & (b' '..=b'~').contains(&b) & (b != b'"') & (b != b'\\'))
}

/// What others say must not look like a line of its own.
fn push_in_one_line(line: &mut String, value: &dyn fmt::Display) {
    let start = line.len();
    let _ = write!(line, "{value}");
    if line[start..].contains(char::is_control) {
        let said = line.split_off(start);
        line.extend(said.chars().flat_map(|c| {
            let (escaped, plain) = if c.is_control() { (Some(c), None) } else { (None, Some(c)) };
            escaped.map(char::escape_default).into_iter().flatten().chain(plain)
        }));
    }
}

fn push_quoted(line: &mut String, text: &str) {
    if is_plain(text) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        // A text always has a form in JSON.
        line.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Hands over each line.
    struct Lines(LogFormat, std::sync::mpsc::Sender<String>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::default();
            line.write(self.0, Timestamp::now(), event);
            self.1.send(line.text).unwrap();
        }
    }

    /// What is logged, without its time.
    fn lines(format: LogFormat) -> Vec<String> {
        let (sender, lines) = std::sync::mpsc::channel();
        let subscriber = tracing_subscriber::registry().with(Lines(format, sender));
        tracing::subscriber::with_default(subscriber, || {
            let error = "a\nb \u{1b}[1m \"ü\"";
            tracing::info!(target: "t", text = error, n = 18_446_744_073_709_551_615_u64, i = -1, yes = true, "said");
            tracing::info!(target: "t", message = "plain", n = 1_u64);
            tracing::info!(target: "t", message = error);
            tracing::error!(target: "t", %error, debug = ?Some(1), "it is {}", error);
        });
        lines.iter().collect()
    }

    #[test]
    fn text_is_one_line_whatever_is_said() {
        let lines = lines(LogFormat::Text);
        assert_eq!(
            lines.iter().map(|line| &line[27..]).collect::<Vec<_>>(),
            [
                "  INFO t: said text=\"a\\nb \\u{1b}[1m \\\"ü\\\"\" n=18446744073709551615 i=-1 yes=true\n",
                "  INFO t: plain n=1\n",
                "  INFO t: a\\nb \\u{1b}[1m \"ü\"\n",
                " ERROR t: it is a\\nb \\u{1b}[1m \"ü\" error=a\\nb \\u{1b}[1m \"ü\" debug=Some(1)\n",
            ]
        );
    }

    #[test]
    fn json_is_an_object_a_line() {
        for (line, want) in lines(LogFormat::Json).iter().zip([
            r#"{"level":"INFO","message":"said","text":"a\nb \u001b[1m \"ü\"","n":18446744073709551615,"i":-1,"yes":true,"target":"t"}"#,
            r#"{"level":"INFO","message":"plain","n":1,"target":"t"}"#,
            r#"{"level":"INFO","message":"a\nb \u001b[1m \"ü\"","target":"t"}"#,
            r#"{"level":"ERROR","message":"it is a\nb \u001b[1m \"ü\"","error":"a\nb \u001b[1m \"ü\"","debug":"Some(1)","target":"t"}"#,
        ]) {
            assert_eq!(line.matches('\n').count(), 1);
            let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
            let time = object.as_object_mut().unwrap().remove("timestamp").unwrap();
            time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert_eq!(object, serde_json::from_str::<serde_json::Value>(want).unwrap());
        }
    }

    #[test]
    fn the_time_is_that_of_the_clock() {
        let mut line = Line::default();
        for (micros, want) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (999_999, "1970-01-01T00:00:00.999999Z"),
            (1_767_323_045_000_042, "2026-01-02T03:04:05.000042Z"),
            (1_767_323_044_000_000, "2026-01-02T03:04:04.000000Z"),
        ] {
            line.text.clear();
            line.time(Timestamp::from_micros(micros));
            assert_eq!(line.text, want);
        }
    }
}
