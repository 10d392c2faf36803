//! One RPC as the front door sees it: a row of the table that is generated from the proto, and the one way in which
//! every encoding calls it.

use std::{
    any::Any,
    future::Future,
    marker::PhantomData,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use domain::{Code, Error, Language, OrganizationId, Permission, Status};
use futures_util::FutureExt;
use gather::Gather;
use identity::Caller;
use prost::Message;
use protojson::{Envelope, Unknown};
use serde::{Serialize, de::DeserializeOwned};

use super::{blocking, gate::Gate, head::Head, limits, path::Fields, receive::Room};

/// Who may call an RPC: its auth option in the proto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Anybody,
    /// Whoever has a token; the rest is decided inside the call.
    Authenticated,
    /// Whoever has this permission in the organization that the call is for.
    Permission(Permission),
}

/// A REST binding of an RPC.
#[derive(Debug)]
pub struct Binding {
    /// `GET`, `POST`, ….
    pub http_method: http::Method,
    /// The whole path, with `{field}` for a segment that is bound.
    pub template: &'static str,
    /// Whether the message comes from the body.
    pub takes_body: bool,
    /// Whether fields come from the query: without a body, those that the path does not bind.
    pub takes_query: bool,
}

/// What the proto says of an RPC.
#[derive(Clone, Debug)]
pub struct Description {
    /// The full name of its service.
    pub service: &'static str,
    /// Its name.
    pub method: &'static str,
    /// `/<service>/<method>`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The largest request message, in bytes of protobuf.
    pub message_bytes_max: usize,
    /// What a message that cannot be decoded is called over gRPC and gRPC-Web (departure D22).
    pub malformed: Code,
    /// What the templates of its service's REST bindings begin with; may be empty.
    pub rest_prefix: &'static str,
    /// Its REST bindings.
    pub bindings: &'static [Binding],
}

/// What a call knows besides its message.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls; `None` only where [`Access::Anybody`] may.
    pub caller: Option<Caller>,
    /// The organization of the call: `x-zitadel-orgid`, else the caller's own.
    pub organization: Option<OrganizationId>,
    /// The language of error texts.
    pub language: Language,
    /// All else that came with the message, and what goes with the reply.
    pub head: Arc<Head>,
    /// What admission keeps in place until the method has ended. The front door takes it out and holds it.
    pub hold: Option<Arc<dyn Any + Send + Sync>>,
}

/// Rules of a message that the proto declares.
pub trait Validate {
    /// # Errors
    /// The first rule that is broken, in the words of contract 2.2.
    fn validate(&self) -> Result<(), String>;
}

/// Fields of a message that a URL can set.
pub trait Bind {
    /// Sets the field of this proto or JSON name; a repeated one gets one more element; an unknown one is ignored.
    fn bind(&mut self, field: &str, value: String);
}

/// A request message as it came.
#[derive(Debug)]
pub struct Input {
    /// How `payload` is encoded.
    pub codec: Codec,
    /// The message; decompressed and without envelope.
    pub payload: Bytes,
    /// What the payload takes of the room for bodies.
    pub room: Room,
    /// Fields from the URL's path; they replace the message's.
    pub path: Fields,
    /// Fields from the URL's query, for bindings without a body.
    pub query: Fields,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// protobuf, and the code for what is not.
    Proto {
        /// [`Description::malformed`], or `InvalidArgument` over Connect.
        malformed: Code,
    },
    /// proto3 JSON.
    Json(Envelope),
}

/// A response message that can be written in every codec.
pub trait Reply: Send + Sync {
    /// Its size in protobuf, in bytes.
    fn proto_len(&self) -> usize;
    /// Writes it as protobuf behind what is in `out`.
    fn write_proto(&self, out: &mut Gather);
    /// Writes it as proto3 JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if the message has no JSON form, such as a time out of range.
    fn to_json(&self) -> Result<Vec<u8>, Error>;
}

struct Encodable<M> {
    message: M,
    proto_len: usize,
}

impl<M: Message + Serialize> Reply for Encodable<M> {
    fn proto_len(&self) -> usize {
        self.proto_len
    }

    fn write_proto(&self, out: &mut Gather) {
        self.message.encode_raw(out);
    }

    fn to_json(&self) -> Result<Vec<u8>, Error> {
        // Base64 takes four bytes for three; names of fields, and numbers and times as text, take more in small ones.
        let bytes = self.proto_len + self.proto_len / 3 + self.proto_len.min(64 * 1024) + 256;
        protojson::to_vec(&self.message, bytes).map_err(|error| Error::Internal { cause: error.to_string() })
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait Handler: Send + Sync {
    fn call<'a>(
        &'a self,
        description: &'a Description,
        gate: &'a Gate,
        head: &'a Arc<Head>,
        input: Result<Input, Error>,
    ) -> BoxFuture<'a, Result<Box<dyn Reply>, Status>>;
}

/// An RPC: what the proto says of it, and the method that answers it.
#[derive(Clone)]
pub struct Rpc {
    description: Arc<Description>,
    handler: Arc<dyn Handler>,
}

impl std::ops::Deref for Rpc {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

impl Rpc {
    /// An RPC that `method` answers.
    pub fn new<Q, P, F, Fut>(description: Description, method: F) -> Self
    where
        Q: Message + Default + DeserializeOwned + Validate + Bind + 'static,
        P: Message + Serialize + 'static,
        F: Fn(Call, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P, Error>> + Send + 'static,
    {
        let handler = Method { method, message: PhantomData::<fn(Q) -> P> };
        Self { description: Arc::new(description), handler: Arc::new(handler) }
    }

    /// The whole way of a call, the same for every encoding: deadline, decoding, size, fields of the URL, admission,
    /// validation, the method. `input` is what was read, or why it could not be.
    ///
    /// # Errors
    /// Whatever fails first, in the caller's language.
    pub async fn call(
        &self,
        gate: &Gate,
        head: &Arc<Head>,
        input: Result<Input, Error>,
    ) -> Result<Box<dyn Reply>, Status> {
        head.record.rpc(self.path);
        self.handler.call(&self.description, gate, head, input).await
    }

    /// Replaces the proto's limit on request messages, in bytes.
    pub fn limit_messages(&mut self, bytes_max: usize) {
        Arc::make_mut(&mut self.description).message_bytes_max = bytes_max;
    }
}

struct Method<F, M> {
    method: F,
    message: PhantomData<M>,
}

impl<Q, P, F, Fut> Handler for Method<F, fn(Q) -> P>
where
    Q: Message + Default + DeserializeOwned + Validate + Bind + 'static,
    P: Message + Serialize + 'static,
    F: Fn(Call, Q) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<P, Error>> + Send + 'static,
{
    fn call<'a>(
        &'a self,
        description: &'a Description,
        gate: &'a Gate,
        head: &'a Arc<Head>,
        input: Result<Input, Error>,
    ) -> BoxFuture<'a, Result<Box<dyn Reply>, Status>> {
        Box::pin(async move {
            let mut language = head.language;
            let outcome = caught(pin!(async {
                // A timer may tick late; the clock decides.
                head.deadline.check()?;
                let Input { codec, payload, room: _room, path, query } = input?;
                let mut length = payload.len();
                let decode = || decode(description, gate.strict_json, codec, payload);
                let mut message: Q = blocking::in_place(length, decode).await?;
                let is_json = matches!(codec, Codec::Json(_));
                for (field, value) in query.into_iter().chain(path) {
                    length += value.len() + FIELD_HEAD_BYTES_MAX;
                    message.bind(&field, value);
                }
                // JSON may be long and say little: what counts is the message (departure D12), which is never the
                // longer one.
                if is_json && length > description.message_bytes_max {
                    within(message.encoded_len(), description.message_bytes_max)?;
                }
                let mut call = gate.admission.admit(description.access, head).await?;
                let _hold = call.hold.take();
                language = call.language;
                message.validate().map_err(Error::Invalid)?;
                head.deadline.check()?;
                let message = (self.method)(call, message).await?;
                head.deadline.check()?;
                let proto_len = message.encoded_len();
                if proto_len > gate.limits.reply_bytes {
                    return Err(limits::reply_too_large(proto_len, gate.limits.reply_bytes));
                }
                Ok(Box::new(Encodable { message, proto_len }) as Box<dyn Reply>)
            }))
            .await;
            outcome.map_err(|error: Error| {
                gate.note(&error, description.path, head);
                error.to_status(language)
            })
        })
    }
}

/// A panic is a mistake of ours, and costs its own call only. The call stays where it is: it is large.
async fn caught<T>(call: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Result<T, Error> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::Internal { cause: format!("panic: {}", text.unwrap_or("of unknown kind")) })
    })
}

fn decode<Q: Message + Default + DeserializeOwned>(
    description: &Description,
    strict_json: bool,
    codec: Codec,
    payload: Bytes,
) -> Result<Q, Error> {
    match codec {
        Codec::Proto { malformed } => {
            // What is too large is not decoded first.
            within(payload.len(), description.message_bytes_max)?;
            Q::decode(alone(payload)).map_err(|error| {
                Error::protocol(malformed, format!("proto: cannot decode the message: {error}"))
            })
        }
        Codec::Json(envelope) => {
            let (envelope, unknown) = match (strict_json, envelope) {
                (false, envelope) => (envelope, Unknown::Ignored),
                (true, Envelope::Lenient) => (Envelope::WholeOrNothing, Unknown::Refused),
                (true, envelope) => (envelope, Unknown::Refused),
            };
            protojson::from_slice_with(&payload, envelope, unknown)
                .map_err(|error| Error::protocol(Code::InvalidArgument, error.to_string()))
        }
    }
}

/// Bytes of a message are parts of its payload, and may be kept for long. What they keep with them must not be the buffer of
/// a connection, which may be many times as large.
fn alone(payload: Bytes) -> Bytes {
    match payload.try_into_mut() {
        Ok(whole) if whole.capacity() <= 2 * whole.len() => whole.freeze(),
        Ok(part) => Bytes::copy_from_slice(&part),
        Err(shared) => Bytes::copy_from_slice(&shared),
    }
}

/// The most bytes before a field's value: its number and its length.
const FIELD_HEAD_BYTES_MAX: usize = 10;

fn within(size: usize, limit: usize) -> Result<(), Error> {
    if size > limit { Err(limits::message_too_large(size, limit)) } else { Ok(()) }
}

#[cfg(test)]
pub(super) mod tests {
    use async_trait::async_trait;
    use domain::Refusal;
    use http::Request;

    use super::*;
    use crate::{
        api::generated::zitadel::management::v1::{HealthzRequest, HealthzResponse},
        front::{Admission, Encoding},
    };

    /// Admits everybody, and has a count held.
    #[derive(Default)]
    pub struct Everybody {
        held: Arc<()>,
    }

    #[async_trait]
    impl Admission for Everybody {
        async fn admit(&self, _: Access, head: &Arc<Head>) -> Result<Call, Error> {
            let (language, hold) = (head.language, Some(self.held.clone() as _));
            Ok(Call { caller: None, organization: None, language, head: head.clone(), hold })
        }
    }

    const DESCRIPTION: Description = Description {
        service: "a.B",
        method: "C",
        path: "/a.B/C",
        access: Access::Anybody,
        message_bytes_max: 10,
        malformed: Code::Internal,
        rest_prefix: "",
        bindings: &[],
    };

    /// Calls `method`, with an empty message.
    async fn call<Fut>(
        admission: Everybody,
        method: impl Fn(Call, HealthzRequest) -> Fut + Send + Sync + 'static,
    ) -> Result<Box<dyn Reply>, Status>
    where
        Fut: Future<Output = Result<HealthzResponse, Error>> + Send + 'static,
    {
        let gate = Gate::new(Arc::new(admission));
        let (parts, ()) = Request::new(()).into_parts();
        let head = Head::read(parts, Encoding::Rest, Arc::default()).unwrap();
        let input = Input {
            codec: Codec::Proto { malformed: Code::Internal },
            payload: Bytes::new(),
            room: Room::new(&gate),
            path: Vec::new(),
            query: Vec::new(),
        };
        Rpc::new(DESCRIPTION, method).call(&gate, &head, Ok(input)).await
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_call_only() {
        let status = call(Everybody::default(), async |_, _| panic!("a mistake")).await.err().unwrap();
        assert_eq!((status.code, &*status.message), (Code::Internal, "An internal error occurred (RECOVER)"));
    }

    #[tokio::test]
    async fn what_admission_holds_is_held_until_the_method_has_ended() {
        let held = Arc::new(());
        for is_good in [true, false] {
            let seen = held.clone();
            let method = move |call: Call, _| {
                let seen = seen.clone();
                drop(call);
                async move {
                    tokio::task::yield_now().await;
                    // In the test, in the method and its future, in the admission, and in the hold.
                    assert_eq!(Arc::strong_count(&seen), 5);
                    if is_good { Ok(HealthzResponse::default()) } else { Err(Refusal::TokenInvalid.into()) }
                }
            };
            let outcome = call(Everybody { held: held.clone() }, method).await;
            assert_eq!(outcome.is_ok(), is_good);
            assert_eq!(outcome.err().map(|status| status.code), (!is_good).then_some(Code::Unauthenticated));
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    #[test]
    fn a_message_keeps_no_more_than_itself() {
        let mut buffer = bytes::BytesMut::with_capacity(8 * 1024);
        buffer.extend_from_slice(&[1; 100]);
        let shared = buffer.split_to(50).freeze();
        let mut behind_a_header = Bytes::from(vec![1; 51]);
        bytes::Buf::advance(&mut behind_a_header, 1);
        for (payload, is_copied) in [
            (shared, true),
            (buffer.freeze(), true),
            (Bytes::from(vec![1; 50]), false),
            (behind_a_header, false),
        ] {
            let address = payload.as_ptr();
            let alone = alone(payload);
            assert_eq!((&*alone, alone.as_ptr() != address), (&[1; 50][..], is_copied));
        }
    }
}
