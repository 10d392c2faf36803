//! Settings from flags, the environment and a file, in this order; else the default.

use std::{collections::BTreeMap, fs, str::FromStr, time::Duration};

use super::{ConfigError, values::above_zero};

/// Where settings come from.
pub(super) struct Sources<'a> {
    /// Variables of the environment, by name.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The file.
    pub file: File,
}

impl Sources<'_> {
    /// One setting, from where it is first found. `parse` says what is allowed where it fails.
    pub fn setting<T>(
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
            let value = storage_postgres::without_password(&value);
            ConfigError(format!("{place}: {value:?} is not allowed; allowed is {allowed}"))
        })
    }

    /// A limit in whole numbers: bytes, connections.
    pub fn limit<T: FromStr + ToString + Default + PartialOrd>(
        &mut self,
        name: &str,
        flag: Option<String>,
        default: T,
    ) -> Result<T, ConfigError> {
        self.setting(name, flag, &default.to_string(), above_zero)
    }

    /// A limit in whole seconds.
    pub fn wait(
        &mut self,
        name: &str,
        flag: Option<String>,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        self.setting(name, flag, &default.as_secs().to_string(), |text| {
            above_zero::<u32>(text).map(|seconds| Duration::from_secs(seconds.into()))
        })
    }
}

/// The file of `--config`, with what was not asked for yet.
#[derive(Default)]
pub(super) struct File {
    path: String,
    text: String,
    settings: BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>>,
}

impl File {
    /// Reads it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(path: &str) -> Result<Self, ConfigError> {
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
            toml::Value::Array(list) if list.iter().all(toml::Value::is_str) => {
                list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
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
    pub fn finish(&self) -> Result<(), ConfigError> {
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
