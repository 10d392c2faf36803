//! What a server offers: services, methods and types, known only by their descriptors.

mod binding;
mod files;
mod reflection;

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor};

pub use binding::{Binding, Unspeakable};

/// An API.
#[derive(Clone, Debug)]
pub struct Api {
    pool: DescriptorPool,
    rest_prefixes: BTreeMap<String, String>,
}

impl Api {
    /// The API of a pool of descriptors.
    pub fn new(pool: DescriptorPool) -> Self {
        Self { pool, rest_prefixes: BTreeMap::new() }
    }

    /// Says where a service's URLs of `google.api.http` begin, for servers that mount them below a path.
    pub fn mount(&mut self, service: &str, prefix: &str) {
        self.rest_prefixes.insert(service.to_owned(), prefix.trim_end_matches('/').to_owned());
    }

    /// All that is known.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// A unary method by `package.Service/Method`.
    ///
    /// # Errors
    /// If there is none, with names that are alike; if it streams.
    pub fn method(&self, rpc: &str) -> Result<MethodDescriptor, String> {
        let unknown = |name: &str, known: &mut dyn Iterator<Item = String>| {
            let mut alike: Vec<(usize, String)> =
                known.map(|other| (distance(name, &other), other)).collect();
            alike.sort();
            let near = alike.first().filter(|(distance, _)| *distance <= name.len() / 3);
            near.map_or_else(String::new, |(_, other)| format!("; did you mean {other}?"))
        };
        let (service_name, method_name) = rpc
            .trim_start_matches('/')
            .rsplit_once('/')
            .ok_or_else(|| format!("{rpc:?} is no method: it is like package.Service/Method"))?;
        let service = self.pool.get_service_by_name(service_name).ok_or_else(|| {
            let hint =
                unknown(service_name, &mut self.pool.services().map(|known| known.full_name().to_owned()));
            format!("there is no service {service_name}{hint}")
        })?;
        let method = service.methods().find(|known| known.name() == method_name).ok_or_else(|| {
            let hint = unknown(method_name, &mut service.methods().map(|known| known.name().to_owned()));
            format!("{service_name} has no method {method_name}{hint}")
        })?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(format!("{rpc} streams; only unary methods can be compared"));
        }
        Ok(method)
    }

    /// A method's first URL, if it has one.
    ///
    /// # Errors
    /// If its `google.api.http` rule cannot be understood.
    pub fn binding(&self, method: &MethodDescriptor) -> Result<Option<Binding>, String> {
        let prefix = self.rest_prefixes.get(method.parent_service().full_name());
        Binding::of(method, prefix.map_or("", String::as_str))
    }
}

/// How many characters must be changed (Levenshtein's distance), without regard to case.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.to_lowercase(), right.to_lowercase());
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, character) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, want) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("Get", "get", 0),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(left, right), want, "{left} {right}");
        }
    }
}
