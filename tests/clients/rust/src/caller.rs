//! Who calls, how they log in, and the SDK's methods by name.

use std::{env, error::Error, path::Path};

use prost::Message;
use tonic::{
    Request, Status,
    metadata::MetadataMap,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use zitadel::{
    api::{
        clients::ClientBuilder,
        interceptors::{AccessTokenInterceptor, ServiceAccountInterceptor},
        zitadel::management::v1::management_service_client::ManagementServiceClient,
    },
    credentials::{AuthenticationOptions, ServiceAccount},
};

pub type Management = ManagementServiceClient<InterceptedService<Channel, Caller>>;

/// A caller: how the SDK puts a token into calls.
#[derive(Clone)]
pub enum Caller {
    Nobody,
    Token(AccessTokenInterceptor),
    Key(ServiceAccountInterceptor),
}

impl Caller {
    /// A user logs in by a token or a key. A name that only a token has is none of a user, and is the token.
    pub fn login(login: &str, issuer: &str, name: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let Some(name) = name else { return Ok(Self::Nobody) };
        let file = Path::new(&env::var("KEYS")?).join(format!("{name}.json"));
        if login != "key" || !file.exists() {
            return Ok(Self::Token(AccessTokenInterceptor::new(name)));
        }
        let account = ServiceAccount::load_from_json(&std::fs::read_to_string(file)?)?;
        let options = AuthenticationOptions { api_access: true, ..Default::default() };
        Ok(Self::Key(ServiceAccountInterceptor::new(issuer, &account, Some(options))))
    }

    pub async fn connect(self, url: &str) -> Result<Management, Box<dyn Error>> {
        ClientBuilder::new(url).with_interceptor(self).build_management_client().await
    }
}

impl Interceptor for Caller {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match self {
            Self::Nobody => Ok(request),
            Self::Token(interceptor) => interceptor.call(request),
            Self::Key(interceptor) => interceptor.call(request),
        }
    }
}

/// Sends a message by the SDK's method of a name; its messages are the SDK's own, and here in bytes.
pub async fn send(
    client: &mut Management,
    method: &str,
    message: &[u8],
    headers: MetadataMap,
) -> Result<Result<Vec<u8>, Status>, Box<dyn Error>> {
    macro_rules! by {
        ($call:ident) => {{
            let mut request = Request::new(Message::decode(message)?);
            *request.metadata_mut() = headers;
            client.$call(request).await.map(|reply| reply.into_inner().encode_to_vec())
        }};
    }
    Ok(match method {
        "SetOrgMetadata" => by!(set_org_metadata),
        "BulkSetOrgMetadata" => by!(bulk_set_org_metadata),
        "ListOrgMetadata" => by!(list_org_metadata),
        "GetOrgMetadata" => by!(get_org_metadata),
        "RemoveOrgMetadata" => by!(remove_org_metadata),
        "BulkRemoveOrgMetadata" => by!(bulk_remove_org_metadata),
        _ => return Err(format!("a method that is not known here: {method}").into()),
    })
}
