//! `zitadel.org.v2.OrganizationService` and `zitadel.org.v2beta.OrganizationService`: one service in two packages, with
//! other names for its filters.

/// Implements the service of a version. Its list's filters are in the field `list`, each with the one-of `choices`.
macro_rules! organization_service {
    ($version:ident, $list:ident, $choice:ident: $choices:ident::$Choice:ident::$Member:ident) => {
        use domain::{Error, Permission, Query, Refusal};

        use crate::api::{
            generated::zitadel::{
                filter::$version::{PaginationRequest, PaginationResponse},
                metadata::$version::{self as shared, $choices},
                org::$version::{
                    DeleteOrganizationMetadataRequest, DeleteOrganizationMetadataResponse,
                    ListOrganizationMetadataRequest, ListOrganizationMetadataResponse, OrganizationService,
                    SetOrganizationMetadataRequest, SetOrganizationMetadataResponse,
                },
            },
            metadata::{Metadata, key_filter, page_limit, permitted, time},
        };
        use crate::front::Call;

        impl OrganizationService for Metadata {
            async fn set_organization_metadata(
                &self,
                call: Call,
                request: SetOrganizationMetadataRequest,
            ) -> Result<SetOrganizationMetadataResponse, Error> {
                if request.metadata.is_empty() {
                    return Err(Refusal::BulkSetEmpty.into());
                }
                let id = permitted(&call, &request.organization_id, Permission::OrgWrite)?;
                let items = request.metadata.into_iter().map(|item| (item.key, item.value));
                let details = self.bulk_set(&id, items).await?;
                Ok(SetOrganizationMetadataResponse { set_date: Some(time(details.at)) })
            }

            async fn list_organization_metadata(
                &self,
                call: Call,
                request: ListOrganizationMetadataRequest,
            ) -> Result<ListOrganizationMetadataResponse, Error> {
                let PaginationRequest { offset, limit, asc: _ } = request.pagination.unwrap_or_default();
                let filters = request.$list.iter().filter_map(|filter| filter.$choice.as_ref());
                let filters = filters
                    .map(|$choices::$Choice::$Member(filter)| key_filter(&filter.key, filter.method))
                    .collect();
                let query = Query { filters, offset, limit: page_limit(limit)? };
                // Who may not read sees nothing, and no error.
                let page = match permitted(&call, &request.organization_id, Permission::OrgRead) {
                    Ok(id) => self.list(&id, query).await?,
                    Err(_) => domain::Page::default(),
                };
                let metadata = page.entries.into_iter().map(|entry| shared::Metadata {
                    creation_date: Some(time(entry.created_at)),
                    change_date: Some(time(entry.changed_at)),
                    key: entry.key.into_string(),
                    value: entry.value,
                });
                Ok(ListOrganizationMetadataResponse {
                    pagination: Some(PaginationResponse {
                        total_result: page.total,
                        applied_limit: u64::from(limit),
                    }),
                    metadata: metadata.collect(),
                })
            }

            async fn delete_organization_metadata(
                &self,
                call: Call,
                request: DeleteOrganizationMetadataRequest,
            ) -> Result<DeleteOrganizationMetadataResponse, Error> {
                if request.keys.is_empty() {
                    return Err(Refusal::BulkRemoveEmpty.into());
                }
                let id = permitted(&call, &request.organization_id, Permission::OrgWrite)?;
                let details = self.bulk_remove(&id, request.keys).await?;
                Ok(DeleteOrganizationMetadataResponse { deletion_date: Some(time(details.at)) })
            }
        }
    };
}

mod v2 {
    organization_service!(v2, filters, filter: metadata_search_filter::Filter::KeyFilter);
}

mod v2beta {
    organization_service!(v2beta, filter, query: metadata_query::Query::KeyQuery);
}
