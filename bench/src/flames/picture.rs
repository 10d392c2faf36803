//! Stacks as a picture: a bar for each frame, as wide as it was seen often, on top of the one that called it.

use std::{collections::BTreeMap, fmt::Write};

use super::Stacks;

const WIDTH: f64 = 1_200.0;
const BAR: usize = 16;
const HEADER: usize = 24;
/// About the width of a letter.
const LETTER: f64 = 6.5;
/// Longer names are cut.
const NAME_MAX: usize = 160;
/// No picture is larger.
const BYTES_MAX: usize = 190_000;

#[derive(Default)]
struct Frame {
    count: u64,
    called: BTreeMap<String, Frame>,
}

/// An SVG. Bars that are too narrow are left out, the more of them the larger it would be.
pub fn draw(title: &str, stacks: &Stacks) -> String {
    let mut root = Frame::default();
    for (stack, &count) in stacks {
        let mut frame = &mut root;
        frame.count += count;
        for name in stack {
            frame = frame.called.entry(name.clone()).or_default();
            frame.count += count;
        }
    }
    let mut narrowest = 0.5;
    loop {
        let picture = draw_from(title, &root, narrowest);
        if picture.len() <= BYTES_MAX {
            return picture;
        }
        narrowest *= 1.5;
    }
}

fn draw_from(title: &str, root: &Frame, narrowest: f64) -> String {
    let width_each = WIDTH / root.count as f64;
    let height = HEADER + (1 + depth(root, narrowest / width_each)) * BAR;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <text x=\"4\" y=\"16\">{}: {} samples</text>\n",
        escape(title),
        root.count
    );
    let drawing = Drawing { width_each, narrowest, height };
    drawing.frame(&mut text, "all", root, 0.0, 0, root.count);
    text + "</svg>\n"
}

fn depth(frame: &Frame, count_min: f64) -> usize {
    let called = frame.called.values().filter(|called| called.count as f64 >= count_min);
    called.map(|called| 1 + depth(called, count_min)).max().unwrap_or(0)
}

struct Drawing {
    /// Of a sample.
    width_each: f64,
    narrowest: f64,
    height: usize,
}

impl Drawing {
    fn frame(&self, text: &mut String, name: &str, frame: &Frame, x: f64, level: usize, all: u64) {
        let width = frame.count as f64 * self.width_each;
        if width < self.narrowest {
            return;
        }
        let y = self.height - (level + 1) * BAR;
        let percent = frame.count as f64 * 100.0 / all as f64;
        let whole: String = name.chars().take(NAME_MAX).collect();
        let shown: String = whole.chars().take((width / LETTER) as usize).collect();
        // Warm colors, the same for the same name everywhere.
        let hue = name.bytes().fold(7_u32, |hue, byte| hue.wrapping_mul(31).wrapping_add(byte.into())) % 50;
        let _ = write!(
            text,
            "<g><title>{} ({percent:.1} %)</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"15\" fill=\"hsl({hue},80%,70%)\"/>",
            escape(&whole)
        );
        if shown.len() > 2 {
            let _ = write!(text, "<text x=\"{:.1}\" y=\"{}\">{}</text>", x + 2.0, y + 11, escape(&shown));
        }
        text.push_str("</g>\n");
        let mut x = x;
        for (name, called) in &frame.called {
            self.frame(text, name, called, x, level + 1, all);
            x += called.count as f64 * self.width_each;
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_its_frame_was_seen_often() {
        let stacks =
            Stacks::from([(vec!["main".to_owned(), "Vec<u8>".to_owned()], 3), (vec!["main".to_owned()], 1)]);
        let picture = draw("a case", &stacks);
        for part in [
            "a case: 4 samples",
            "<title>main (100.0 %)</title><rect x=\"0.0\" y=\"40\" width=\"1200.0\"",
            "<title>Vec&lt;u8&gt; (75.0 %)</title><rect x=\"0.0\" y=\"24\" width=\"900.0\"",
        ] {
            assert!(picture.contains(part), "{part} is not in {picture}");
        }
    }

    #[test]
    fn a_picture_stays_small() {
        let stacks: Stacks =
            (0..2_000).map(|name| (vec![format!("frame {name} {}", "x".repeat(100))], 1)).collect();
        assert!(draw("many", &stacks).len() <= BYTES_MAX);
    }
}
