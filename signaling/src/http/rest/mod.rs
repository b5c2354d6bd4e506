//! The REST calls: `proto-spec/spec/09-rest.md`. A folder of handlers; each is described where it stands, and the description
//! that is served is made of that.
#![expect(unused_qualifications, reason = "the macros of the description write paths out")]

mod bodies;
mod input;
mod keys;
mod links;
mod meetings;
pub(super) mod operations;
mod records;
mod schedule;
mod settings_schema;
mod tokens;

use std::collections::BTreeMap;

use utoipa::openapi::{RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// What no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(bodies::ErrorBody)))]
struct Shared;

/// All calls.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Shared::openapi())
        .routes(routes!(meetings::create, meetings::list))
        .routes(routes!(meetings::read, meetings::update, meetings::end))
        .routes(routes!(records::attendance))
        .routes(routes!(records::audit))
        .routes(routes!(records::recordings))
        .routes(routes!(tokens::issue))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::signing_keys))
        .routes(routes!(keys::retire))
}

/// The errors that any call may answer with.
struct Errors;

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let error = |(status, what): (&str, &str)| {
            let schema = utoipa::openapi::Ref::from_schema_name("ErrorBody");
            let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(what).content("application/json", content);
            (status.to_owned(), RefOr::T(response.build()))
        };
        [
            ("400", "Not what is expected here"),
            ("401", "No credential, or a wrong one, or not for this"),
            ("403", "The key may not do this"),
            ("404", "There is none, or it is somebody else's"),
            ("409", "It is over, or was changed in between"),
            ("413", "The body is too large"),
            ("415", "The body is not JSON"),
            ("429", "Too many requests"),
            ("500", "The daemon failed"),
            ("503", "The daemon cannot take it now"),
        ]
        .into_iter()
        .map(error)
        .collect()
    }
}
