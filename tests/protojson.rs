//! proto3 JSON, held against what protobuf-go does with the same documents: `protojson/golden.jsonl`, written by the
//! Go program beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::{Engine, engine::general_purpose::STANDARD};
use metagate::api::generated::zitadel::{filter, management::v1 as management, metadata, org, v1};
use proptest::{
    collection::vec,
    option,
    prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest},
};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protojson::Envelope;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const GOLDEN: &str = include_str!("protojson/golden.jsonl");

#[derive(Deserialize)]
struct Case {
    message: String,
    json: Option<String>,
    base64: Option<String>,
    /// What Connect reads, in binary, as hex; `None` if it is refused.
    whole: Option<String>,
    /// What grpc-gateway reads.
    lenient: Option<String>,
    /// What is written again, if either was read.
    written: Option<String>,
}

/// Documents that protobuf-go refuses, because a field is there twice; here `null` counts as absent, and the other wins.
const KNOWN_DIFFERENCES: &[&str] = &["{\"query\":null,\"query\":{}}", "{\"keyQuery\":null,\"key_query\":{}}"];

/// What became of a document: the message in binary, and as JSON again.
type Read = Result<(String, Option<String>), String>;

fn read<T: Message + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>(
    document: &[u8],
    envelope: Envelope,
) -> Read {
    let message: T = protojson::from_slice(document, envelope).map_err(|error| error.to_string())?;
    let written = protojson::to_vec(&message, 0).ok().map(|written| String::from_utf8(written).unwrap());
    let binary = message.encode_to_vec();
    assert_eq!(T::decode(binary.as_slice()).unwrap(), message);
    Ok((binary.iter().map(|byte| format!("{byte:02x}")).collect(), written))
}

fn reader(message: &str) -> fn(&[u8], Envelope) -> Read {
    match message {
        "zitadel.management.v1.SetOrgMetadataRequest" => read::<management::SetOrgMetadataRequest>,
        "zitadel.management.v1.BulkSetOrgMetadataRequest" => read::<management::BulkSetOrgMetadataRequest>,
        "zitadel.management.v1.ListOrgMetadataRequest" => read::<management::ListOrgMetadataRequest>,
        "zitadel.management.v1.BulkRemoveOrgMetadataRequest" => {
            read::<management::BulkRemoveOrgMetadataRequest>
        }
        "zitadel.metadata.v1.MetadataKeyQuery" => read::<metadata::v1::MetadataKeyQuery>,
        "zitadel.metadata.v1.MetadataQuery" => read::<metadata::v1::MetadataQuery>,
        "zitadel.v1.ListQuery" => read::<v1::ListQuery>,
        "zitadel.v1.ObjectDetails" => read::<v1::ObjectDetails>,
        "zitadel.filter.v2.PaginationResponse" => read::<filter::v2::PaginationResponse>,
        "zitadel.org.v2.ListOrganizationMetadataRequest" => read::<org::v2::ListOrganizationMetadataRequest>,
        other => panic!("no reader for {other}"),
    }
}

#[test]
fn documents_are_read_and_written_as_protobuf_go_does() {
    let mut differences = Vec::new();
    let mut known = 0;
    for line in GOLDEN.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let document = match (&case.json, &case.base64) {
            (Some(json), None) => json.clone().into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
            _ => panic!("{line}"),
        };
        let read = reader(&case.message);
        let shown = String::from_utf8_lossy(&document).chars().take(80).collect::<String>();
        for (envelope, want) in [(Envelope::Whole, &case.whole), (Envelope::Lenient, &case.lenient)] {
            let got = read(&document, envelope);
            let alike = match (&got, want) {
                (Err(_), None) => true,
                (Ok((binary, written)), Some(want)) => binary == want && *written == case.written,
                _ => false,
            };
            if !alike && KNOWN_DIFFERENCES.contains(&shown.as_str()) {
                known += 1;
            } else if !alike {
                differences.push(format!(
                    "{envelope:?} {} {shown:?}: got {got:?}, want {want:?} {:?}",
                    case.message, case.written
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert_eq!(known, KNOWN_DIFFERENCES.len() * 2, "a known difference is gone");
}

#[test]
fn errors_say_where() {
    for (document, want) in [
        ("{\"value\":\"!!!!\"}", "proto: (line 1:16): invalid value for bytes field: \"!!!!\""),
        ("{\n  \"key\": 5\n}", "proto: (line 2:10): "),
        ("{\"key\":\"a\",\n\"key\":\"b\"}", "proto: (line 2:5): duplicate field `key`"),
        ("{\"key\":", "proto: (line 1:7): EOF while parsing"),
        ("[1]", "proto: (line 1:"),
    ] {
        let read =
            protojson::from_slice::<management::SetOrgMetadataRequest>(document.as_bytes(), Envelope::Whole);
        let error = read.unwrap_err().to_string();
        assert!(error.starts_with(want), "{document:?}: {error}");
    }
}

fn time() -> impl Strategy<Value = protojson::Timestamp> {
    // 0001 to 9999, with 0, 3, 6 or 9 digits of fraction.
    let nanos = (0..1_000_000_000_i32, 0..4_u32)
        .prop_map(|(nanos, cut)| nanos / 1_000_i32.pow(cut) * 1_000_i32.pow(cut));
    (-62_135_596_800..=253_402_300_799_i64, nanos)
        .prop_map(|(seconds, nanos)| protojson::Timestamp { seconds, nanos })
}

fn details() -> impl Strategy<Value = v1::ObjectDetails> {
    (any::<u64>(), option::of(time()), option::of(time()), any::<String>()).prop_map(
        |(sequence, creation_date, change_date, resource_owner)| v1::ObjectDetails {
            sequence,
            creation_date,
            change_date,
            resource_owner,
        },
    )
}

fn list() -> impl Strategy<Value = management::ListOrgMetadataResponse> {
    let item = (option::of(details()), any::<String>(), vec(any::<u8>(), 0..40))
        .prop_map(|(details, key, value)| metadata::v1::Metadata { details, key, value: value.into() });
    let about = (any::<u64>(), any::<u64>(), option::of(time())).prop_map(
        |(total_result, processed_sequence, view_timestamp)| v1::ListDetails {
            total_result,
            processed_sequence,
            view_timestamp,
        },
    );
    (option::of(about), vec(item, 0..4))
        .prop_map(|(details, result)| management::ListOrgMetadataResponse { details, result })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_written_as_prost_reflect_writes_them_and_read_back(message in list()) {
        let pool = DescriptorPool::decode(metagate::api::DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name("zitadel.management.v1.ListOrgMetadataResponse").unwrap();
        let reflected = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
        let written = protojson::to_vec(&message, 0).unwrap();
        prop_assert_eq!(std::str::from_utf8(&written).unwrap(), serde_json::to_string(&reflected).unwrap());
        let read: management::ListOrgMetadataResponse = protojson::from_slice(&written, Envelope::Whole).unwrap();
        prop_assert_eq!(read, message);
    }
}
