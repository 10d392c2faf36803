//! Tables of the file, field by field: the first mistake does not hide the second.
//!
//! What is wrong is noted with its place, and `None` given, in the words that serde has for the settings file. But no
//! text shows a string of a wrong type, nor any value of a token's table: it may be a token in the wrong line.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
    value::Datetime,
};

use super::position::Problems;

/// A type of value: what it is called, and how it is read.
pub(crate) type Kind<T> = (&'static str, fn(&DeValue<'_>) -> Option<T>);

pub(crate) const TEXT: Kind<String> = ("a string", |value| value.as_str().map(str::to_owned));
pub(crate) const BOOLEAN: Kind<bool> = ("true or false", |value| value.as_bool());
pub(crate) const INTEGER: Kind<i64> = ("an integer", |value| {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
});
pub(crate) const TIME: Kind<Datetime> =
    ("a time such as 2099-01-01T00:00:00Z", |value| value.as_datetime().copied());

/// Arrays of strings, each with its name.
pub(crate) type TextsByName = Vec<(String, Vec<Spanned<String>>)>;

/// The fields of one table.
pub(crate) struct Fields<'t, 'p, 's> {
    table: &'t DeTable<'t>,
    /// Where the table begins, in bytes.
    at: usize,
    is_secret: bool,
    has_unknown: bool,
    problems: &'p mut Problems<'s>,
}

impl<'t, 'p, 's> Fields<'t, 'p, 's> {
    /// The fields of a table, which may have those that are `known`.
    pub(crate) fn of(
        table: &'t DeTable<'t>,
        at: usize,
        known: &[&str],
        problems: &'p mut Problems<'s>,
    ) -> Self {
        let mut has_unknown = false;
        for field in table.keys().filter(|field| !known.contains(&field.get_ref().as_ref())) {
            has_unknown = true;
            let name = field.get_ref().escape_debug();
            problems.note(field.span().start, format!("unknown field `{name}`, expected {}", one_of(known)));
        }
        Self { table, at, is_secret: false, has_unknown, problems }
    }

    /// The same fields, no value of which is ever shown.
    pub(crate) fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    pub(crate) fn required<T>(&mut self, name: &str, kind: Kind<T>) -> Option<Spanned<T>> {
        self.value(name)?;
        self.optional(name, kind)
    }

    pub(crate) fn optional<T>(&mut self, name: &str, (expected, read): Kind<T>) -> Option<Spanned<T>> {
        let value = self.table.get(name)?;
        let found = read(value.get_ref());
        if found.is_none() {
            self.unexpected(value, expected, !self.is_secret);
        }
        found.map(|found| Spanned::new(value.span(), found))
    }

    /// A required word out of a few.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.value(name)?;
        self.optional_choice(name, choices)
    }

    /// A word out of a few.
    pub(crate) fn optional_choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.optional(name, TEXT)?;
        let chosen = choices.iter().find(|(choice, _)| choice == word.get_ref());
        if chosen.is_none() {
            let known: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            let word_shown = word.get_ref().escape_debug();
            let text = format!("unknown variant `{word_shown}`, expected {}", one_of(&known));
            self.problems.note(word.span().start, text);
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// The strings of an array; absent is empty.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<Spanned<String>> {
        let value = self.table.get(name);
        value.map(|value| self.texts_of(value)).unwrap_or_default()
    }

    fn texts_of(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Spanned<String>> {
        let Some(array) = value.get_ref().as_array() else {
            self.unexpected(value, "an array of strings", true);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array.iter() {
            match element.get_ref().as_str() {
                Some(text) => texts.push(Spanned::new(element.span(), text.to_owned())),
                None => self.unexpected(element, "a string", true),
            }
        }
        texts
    }

    /// The strings of an array that must be there, and may be empty.
    pub(crate) fn required_texts(&mut self, name: &str) -> Option<Vec<Spanned<String>>> {
        self.value(name)?;
        Some(self.texts(name))
    }

    /// The strings of arrays in a table whose fields may have any names.
    pub(crate) fn texts_by_name(&mut self, name: &str) -> Option<Spanned<TextsByName>> {
        let at = self.table.get(name)?.span();
        let (table, _) = self.optional_table(name)?;
        let by_name = table.iter().map(|(name, value)| (name.get_ref().to_string(), self.texts_of(value)));
        let by_name = by_name.collect();
        Some(Spanned::new(at, by_name))
    }

    /// A table inside of this one, and where it begins.
    pub(crate) fn optional_table(&mut self, name: &str) -> Option<(&'t DeTable<'t>, usize)> {
        let value = self.table.get(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.unexpected(value, "a table", false);
        }
        table.map(|table| (table, value.span().start))
    }

    /// The one table of this name, and where it begins.
    pub(crate) fn table(&mut self, name: &str) -> Option<(&'t DeTable<'t>, usize)> {
        let value = self.value(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.unexpected(value, &format!("a table, which begins with [{name}]"), false);
        }
        table.map(|table| (table, value.span().start))
    }

    /// The tables of this name, and where each begins; absent is none. `header` is what each begins with.
    pub(crate) fn tables(&mut self, name: &str, header: &str) -> Vec<(&'t DeTable<'t>, usize)> {
        let Some(value) = self.table.get(name) else { return Vec::new() };
        let expected = format!("tables, each of which begins with [[{header}]]");
        let Some(array) = value.get_ref().as_array() else {
            self.unexpected(value, &expected, false);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for element in array.iter() {
            match element.get_ref().as_table() {
                Some(table) => tables.push((table, element.span().start)),
                None => self.unexpected(element, &expected, false),
            }
        }
        tables
    }

    fn value(&mut self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let value = self.table.get(name);
        // Beside an unknown field it is most likely that one, misspelt; one mistake is told once.
        if value.is_none() && !self.has_unknown {
            self.problems.note(self.at, format!("missing field `{name}`"));
        }
        value
    }

    fn unexpected(&mut self, value: &Spanned<DeValue<'_>>, expected: &str, is_public: bool) {
        let (found, shown) = match value.get_ref() {
            DeValue::String(_) => ("string", None),
            DeValue::Integer(integer) => ("integer", Some(integer.to_string())),
            DeValue::Float(float) => ("floating point", Some(float.to_string())),
            DeValue::Boolean(boolean) => ("boolean", Some(boolean.to_string())),
            DeValue::Datetime(time) => ("time", Some(time.to_string())),
            DeValue::Array(_) => ("array", None),
            DeValue::Table(_) => ("table", None),
        };
        let shown = shown.filter(|_| is_public).map_or(String::new(), |shown| format!(" `{shown}`"));
        self.problems.note(value.span().start, format!("invalid type: {found}{shown}, expected {expected}"));
    }
}

fn one_of(words: &[&str]) -> String {
    format!("one of `{}`", words.join("`, `"))
}
