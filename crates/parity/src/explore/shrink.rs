//! Calls that are a little smaller.

use serde_json::Value;

use super::{Case, Raw};

/// Smaller calls, the smallest first.
pub(super) fn candidates(case: &Case) -> Vec<Case> {
    if let Some(raw) = &case.raw {
        let smaller = bytes(&raw.bytes).into_iter();
        return smaller
            .map(|bytes| Case { raw: Some(Raw { bytes, ..raw.clone() }), ..case.clone() })
            .collect();
    }
    values(&case.message).into_iter().map(|message| Case { message, ..case.clone() }).collect()
}

/// Without a half, a quarter, a byte.
fn bytes(all: &[u8]) -> Vec<Vec<u8>> {
    let mut smaller = Vec::new();
    let mut length = all.len() / 2;
    while length > 0 {
        for start in (0..all.len()).step_by(length).take(64) {
            let end = (start + length).min(all.len());
            smaller.push([&all[..start], &all[end..]].concat());
        }
        length /= 2;
    }
    smaller
}

fn values(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let without = members.keys().map(|name| {
                let mut members = members.clone();
                members.remove(name);
                Value::from(members)
            });
            let inside = members.iter().flat_map(|(name, value)| {
                values(value).into_iter().map(|value| {
                    let mut members = members.clone();
                    members.insert(name.clone(), value);
                    Value::from(members)
                })
            });
            without.chain(inside).collect()
        }
        Value::Array(items) => {
            let without = (0..items.len()).map(|index| {
                let mut items = items.clone();
                items.remove(index);
                Value::from(items)
            });
            let inside = items.iter().enumerate().flat_map(|(index, item)| {
                values(item).into_iter().map(move |item| {
                    let mut items = items.clone();
                    items[index] = item;
                    Value::from(items)
                })
            });
            let half = (items.len() > 3).then(|| Value::from(items[..items.len() / 2].to_vec()));
            half.into_iter().chain(without).chain(inside).collect()
        }
        Value::String(text) => texts(text).into_iter().map(Value::from).collect(),
        Value::Number(number) if number.as_f64() != Some(0.0) => vec![0.into()],
        Value::Bool(true) => vec![false.into()],
        _ => Vec::new(),
    }
}

/// Half of it, or one character less; nothing is taken out of `${run}`.
fn texts(text: &str) -> Vec<String> {
    let (run, rest) = text.strip_prefix("${run}").map_or(("", text), |rest| ("${run}", rest));
    let characters: Vec<char> = rest.chars().collect();
    let mut smaller = Vec::new();
    if !run.is_empty() {
        smaller.push(rest.to_owned());
    }
    let count = characters.len();
    for (start, end) in
        [(0, count / 2), (count / 2, count), (0, count.saturating_sub(1)), (1.min(count), count)]
    {
        let part: String = characters[start..end].iter().collect();
        if part.len() < rest.len() && !smaller.contains(&format!("{run}{part}")) {
            smaller.push(format!("{run}{part}"));
        }
    }
    smaller
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_wrong_is_found_alone() {
        let is_wrong = |value: &Value| value.to_string().contains('ä');
        let mut value = json!({"a": "xxäxx", "b": [1, 2, {"c": "y"}], "d": true});
        while let Some(smaller) = values(&value).into_iter().find(is_wrong) {
            assert!(smaller.to_string().len() < value.to_string().len(), "{smaller}");
            value = smaller;
        }
        assert_eq!(value, json!({"a": "ä"}));
    }

    #[test]
    fn bytes_become_fewer() {
        let mut all: Vec<u8> = (0..100).collect();
        while let Some(smaller) = bytes(&all).into_iter().find(|bytes| bytes.contains(&42)) {
            assert!(smaller.len() < all.len());
            all = smaller;
        }
        assert_eq!(all, [42]);
        assert_eq!(bytes(&[]), Vec::<Vec<u8>>::new());
        assert_eq!(texts("${run}ab"), ["ab", "${run}a", "${run}b"]);
    }
}
