//! `zitadel.management.v1.ManagementService`.

use domain::{Details, Entry, Error, OrganizationId, Query, Refusal, Timestamp};

use super::{
    generated::zitadel::{
        management::v1::{
            BulkRemoveOrgMetadataRequest, BulkRemoveOrgMetadataResponse, BulkSetOrgMetadataRequest,
            BulkSetOrgMetadataResponse, GetOrgMetadataRequest, GetOrgMetadataResponse, HealthzRequest,
            HealthzResponse, ListOrgMetadataRequest, ListOrgMetadataResponse, ManagementService,
            RemoveOrgMetadataRequest, RemoveOrgMetadataResponse, SetOrgMetadataRequest,
            SetOrgMetadataResponse,
        },
        metadata::v1::{self as shared, metadata_query},
        v1::{ListDetails, ListQuery, ObjectDetails},
    },
    metadata::{Metadata, key_filter, organization, time},
};
use crate::front::Call;

impl ManagementService for Metadata {
    async fn healthz(&self, _: Call, _: HealthzRequest) -> Result<HealthzResponse, Error> {
        Ok(HealthzResponse {})
    }

    /// Answers with the event's time as *creation* date, also where the key was there (contract 3).
    async fn set_org_metadata(
        &self,
        call: Call,
        request: SetOrgMetadataRequest,
    ) -> Result<SetOrgMetadataResponse, Error> {
        let id = organization(&call)?;
        let Details { sequence, at } = self.set(id, request.key, request.value).await?;
        let resource_owner = id.as_str().to_owned();
        let details =
            ObjectDetails { sequence, creation_date: Some(time(at)), change_date: None, resource_owner };
        Ok(SetOrgMetadataResponse { details: Some(details) })
    }

    async fn bulk_set_org_metadata(
        &self,
        call: Call,
        request: BulkSetOrgMetadataRequest,
    ) -> Result<BulkSetOrgMetadataResponse, Error> {
        if request.metadata.is_empty() {
            return Err(Refusal::BulkSetEmpty.into());
        }
        let id = organization(&call)?;
        let items = request.metadata.into_iter().map(|item| (item.key, item.value));
        let details = self.bulk_set(id, items).await?;
        Ok(BulkSetOrgMetadataResponse { details: Some(changed(id, details)) })
    }

    async fn list_org_metadata(
        &self,
        call: Call,
        request: ListOrgMetadataRequest,
    ) -> Result<ListOrgMetadataResponse, Error> {
        let id = organization(&call)?;
        let ListQuery { offset, limit, asc: _ } = request.query.unwrap_or_default();
        let filters = request.queries.iter().filter_map(|query| query.query.as_ref());
        let filters = filters
            .map(|metadata_query::Query::KeyQuery(query)| key_filter(&query.key, query.method))
            .collect();
        let limit = if limit == 0 { None } else { Some(limit) };
        let view_timestamp = Some(time(Timestamp::now()));
        let page = self.list(id, Query { filters, offset, limit }).await?;
        Ok(ListOrgMetadataResponse {
            details: Some(ListDetails { total_result: page.total, processed_sequence: 0, view_timestamp }),
            result: page.entries.into_iter().map(|entry| metadata(id, entry)).collect(),
        })
    }

    async fn get_org_metadata(
        &self,
        call: Call,
        request: GetOrgMetadataRequest,
    ) -> Result<GetOrgMetadataResponse, Error> {
        let id = organization(&call)?;
        let entry = self.get(id, request.key).await?;
        Ok(GetOrgMetadataResponse { metadata: Some(metadata(id, entry)) })
    }

    async fn remove_org_metadata(
        &self,
        call: Call,
        request: RemoveOrgMetadataRequest,
    ) -> Result<RemoveOrgMetadataResponse, Error> {
        let id = organization(&call)?;
        let details = self.remove(id, request.key).await?;
        Ok(RemoveOrgMetadataResponse { details: Some(changed(id, details)) })
    }

    async fn bulk_remove_org_metadata(
        &self,
        call: Call,
        request: BulkRemoveOrgMetadataRequest,
    ) -> Result<BulkRemoveOrgMetadataResponse, Error> {
        if request.keys.is_empty() {
            return Err(Refusal::BulkRemoveEmpty.into());
        }
        let id = organization(&call)?;
        let details = self.bulk_remove(id, request.keys).await?;
        Ok(BulkRemoveOrgMetadataResponse { details: Some(changed(id, details)) })
    }
}

/// What every write but a single set answers with.
fn changed(id: &OrganizationId, Details { sequence, at }: Details) -> ObjectDetails {
    let resource_owner = id.as_str().to_owned();
    ObjectDetails { sequence, creation_date: None, change_date: Some(time(at)), resource_owner }
}

fn metadata(id: &OrganizationId, entry: Entry) -> shared::Metadata {
    let details = ObjectDetails {
        sequence: entry.sequence,
        creation_date: Some(time(entry.created_at)),
        change_date: Some(time(entry.changed_at)),
        resource_owner: id.as_str().to_owned(),
    };
    shared::Metadata { details: Some(details), key: entry.key.into_string(), value: entry.value }
}
