//! temporary
use axum::response::IntoResponse;
/// f
pub async fn front() -> impl IntoResponse {
    "whosaw"
}
/// s
pub async fn style() -> impl IntoResponse {
    ""
}
