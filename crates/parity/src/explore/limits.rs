//! Lengths that a field's options declare: protoc-gen-validate's `validate.rules` and protovalidate's `buf.validate.field`.

use prost_reflect::{DynamicMessage, FieldDescriptor};

const RULES: [&str; 2] = ["validate.rules", "buf.validate.field"];
const LENGTHS: [&str; 6] = ["len", "min_len", "max_len", "min_bytes", "max_bytes", "len_bytes"];

/// Longer ones are not tried.
const LENGTH_MAX: u64 = 1 << 20;

/// All lengths at which a field's text or bytes (`kind`: `string` or `bytes`) begin or cease to be good.
pub(super) fn lengths(field: &FieldDescriptor, kind: &str) -> Vec<u64> {
    let options = field.options();
    let rules = options.extensions().filter(|(extension, _)| RULES.contains(&extension.full_name()));
    let mut lengths = Vec::new();
    for (_, rules) in rules {
        let Some(rules) = rules.as_message() else { continue };
        for rules in
            [part(rules, kind), part(rules, "repeated").and_then(|list| part(&part(&list, "items")?, kind))]
        {
            let Some(rules) = rules else { continue };
            let declared = LENGTHS.iter().filter_map(|name| rules.get_field_by_name(name)?.as_u64());
            lengths.extend(declared.filter(|length| (1..=LENGTH_MAX).contains(length)));
        }
    }
    lengths
}

fn part(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !message.has_field_by_name(name) {
        return None;
    }
    message.get_field_by_name(name)?.as_message().cloned()
}
