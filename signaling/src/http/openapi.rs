//! The description of the REST interface, OpenAPI 3.1, made from the handlers themselves.

use axum::Json;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The parts that no handler has.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sluice signaling",
        version = "1",
        description = "Meetings: made, changed, joined by link, ended, and what is recorded of them. See proto-spec/spec/09-rest.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    modifiers(&Bearer)
)]
pub(super) struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The operator's token, an API key, a host token, or an access token."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Serves it. It does not change while the daemon runs.
pub(super) async fn serve(
    openapi: axum::Extension<std::sync::Arc<utoipa::openapi::OpenApi>>,
) -> impl IntoResponse {
    Json((*openapi.0).clone())
}
