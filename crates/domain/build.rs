//! Turns `errors.toml` into the types `Refusal` and `Text`.

use std::{collections::BTreeMap, env, error::Error, fmt::Write, fs, path::Path};

use serde::Deserialize;

#[derive(Deserialize)]
struct Errors {
    refusal: Vec<Refusal>,
    text: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    name: String,
    doc: String,
    code: String,
    id: Option<String>,
    text: Option<String>,
    verbatim: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=errors.toml");
    let errors: Errors = toml::from_str(&fs::read_to_string("errors.toml")?)?;
    let code = generate(&errors)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("errors.rs"), code)?;
    Ok(())
}

fn generate(errors: &Errors) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    writeln!(out, "/// A refusal that the API has a name for: a row of `errors.toml`.")?;
    writeln!(out, "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum Refusal {{")?;
    for refusal in &errors.refusal {
        writeln!(out, "    /// {}\n    {},", refusal.doc, refusal.name)?;
    }
    writeln!(out, "}}\n\nimpl Refusal {{")?;
    writeln!(out, "    /// Every refusal, in the order of `errors.toml`.")?;
    let all: Vec<String> = errors.refusal.iter().map(|refusal| format!("Self::{}", refusal.name)).collect();
    writeln!(out, "    pub const ALL: &'static [Self] = &[{}];\n", all.join(", "))?;
    writeln!(out, "    const fn row(self) -> Row {{\n        match self {{")?;
    for refusal in &errors.refusal {
        let wording = match (&refusal.text, &refusal.verbatim) {
            (Some(text), None) if errors.text.contains_key(text) => {
                format!("Wording::Text(Text::{})", variant(text))
            }
            (None, Some(verbatim)) => format!("Wording::Verbatim({verbatim:?})"),
            _ => return Err(format!("{}: give either a known `text` or `verbatim`", refusal.name).into()),
        };
        writeln!(
            out,
            "            Self::{} => Row {{ code: Code::{}, id: {:?}, wording: {wording} }},",
            refusal.name, refusal.code, refusal.id
        )?;
    }
    writeln!(out, "        }}\n    }}\n}}\n\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\nenum Text {{")?;
    for name in errors.text.keys() {
        writeln!(out, "    {},", variant(name))?;
    }
    writeln!(
        out,
        "}}\n\nimpl Text {{\n    const fn in_language(self, language: Language) -> &'static str {{"
    )?;
    writeln!(out, "        match (self, language) {{")?;
    for (name, languages) in &errors.text {
        let english = languages.get("en").ok_or_else(|| format!("text {name} has no `en`"))?;
        for (language, text) in languages.iter().filter(|(language, _)| *language != "en") {
            writeln!(
                out,
                "            (Self::{}, Language::{}) => {text:?},",
                variant(name),
                variant(language)
            )?;
        }
        writeln!(out, "            (Self::{}, _) => {english:?},", variant(name))?;
    }
    writeln!(out, "        }}\n    }}\n}}")?;
    Ok(out)
}

/// `list_empty` → `ListEmpty`.
fn variant(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect()
}
